"""Hostile and clumsy clients for bench/neighbours: HTTP/2 by hand, on plain sockets.

A gRPC library would not send half a request, or leave an answer unread. Each request
is built once. Only a few bytes change between calls, so that a client needs little CPU
time itself.

Run as a program, hostile.py plays one neighbour until SIGTERM, and then prints the
number of its calls as JSON:

    hostile.py NAME PORT METRICS_PORT ADMIN_PORT BINARIES
"""

import itertools
import json
import signal
import subprocess
import socket
import struct
import sys
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
FRAME_MAX = 16384
WINDOW_MAX = 2**31 - 1
WINDOW_START = 65535
STUDY = "HOSTILE-STUDY"
RECORDS = 10_000
REQUEST_BYTES = 16 * 2**20
ANSWERS_MAX = 10_000  # the default of limits.answers


# --- Protocol buffers and gRPC ---

def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, value):
    """Returns a field with a length: text, bytes or a message."""
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def enum_field(number, value):
    return varint(number << 3) + varint(value)


def framed(message):
    return b"\0" + struct.pack(">I", len(message)) + message


def response(items=b"", subject="Patient/hostile-1"):
    """Returns a QuestionnaireResponse with the serialized fields `items`."""
    return (field(1, "http://example.org/Questionnaire/hostile|1.0.0") +
            enum_field(2, 2) + field(3, field(1, subject)) +
            field(4, "2026-03-01T20:15:00+01:00") + items)


def submit_request(submission_id, items=b""):
    return field(1, submission_id) + field(2, STUDY) + field(4, response(items))


def import_request(records):
    return field(1, STUDY) + b"".join(field(3, field(1, name) + field(3, data)) for name, data in records)


# --- HTTP/2 ---

def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    """Returns a header as HPACK writes it without a table and without Huffman coding."""
    return b"\0" + field_text(name) + field_text(value)


def field_text(text):
    return bytes([len(text)]) + text.encode()


def request_headers(method):
    return b"".join(literal(name, value) for name, value in [
        (":method", "POST"), (":scheme", "http"), (":path", f"/sluice.v1.Ingestion/{method}"),
        (":authority", "localhost"), ("content-type", "application/grpc"), ("te", "trailers"),
        ("sluice-study", STUDY)])


class Connection:
    """A connection that makes one call at a time, or leaves its calls open."""

    def __init__(self, port, stream_window=WINDOW_MAX):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = -1  # id of the newest stream
        self.unread = b""
        self.room = WINDOW_START  # bytes that the connection may send
        self.stream_start = WINDOW_START
        self.stream_room = 0
        self.consumed = 0
        self.ended, self.got_data = False, False
        settings = struct.pack(">HI", 4, stream_window)
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0, settings) +
                            frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW_MAX - WINDOW_START)))

    def begin(self, method):
        """Starts a call."""
        self.stream += 2
        self.stream_room = self.stream_start
        self.ended, self.got_data = False, False
        self.socket.sendall(frame(HEADERS, END_HEADERS, self.stream, request_headers(method)))

    def send(self, body, end=True):
        """Sends a part of the request, as fast as the server's windows allow."""
        view, at = memoryview(body), 0
        while at < len(body) and not self.ended:
            size = min(FRAME_MAX, len(body) - at, self.room, self.stream_room)
            if size <= 0:
                self.read_frames()
                continue
            flags = END_STREAM if end and at + size == len(body) else 0
            self.socket.sendall(frame(DATA, flags, self.stream, view[at:at + size].tobytes()))
            at += size
            self.room -= size
            self.stream_room -= size

    def call(self, method, body):
        """Makes a call. Returns true if the answer has a message."""
        self.begin(method)
        self.send(body)
        while not self.ended:
            self.read_frames()
        return self.got_data

    def read_frames(self):
        """Waits for bytes and handles all complete frames."""
        got = self.socket.recv(2**18)
        if not got:
            raise ConnectionError("the server closed the connection")
        self.unread += got
        at = 0
        while len(self.unread) - at >= 9:
            size = int.from_bytes(self.unread[at:at + 3], "big")
            if len(self.unread) - at < 9 + size:
                break
            kind, flags, stream = struct.unpack_from(">BBI", self.unread, at + 3)
            self.handle(kind, flags, stream, self.unread[at + 9:at + 9 + size])
            at += 9 + size
        self.unread = self.unread[at:]

    def handle(self, kind, flags, stream, payload):
        if kind == DATA:
            self.got_data |= stream == self.stream
            self.consumed += len(payload)
            if self.consumed > 2**20:
                self.socket.sendall(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", self.consumed)))
                self.consumed = 0
        elif kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack_from(">HI", payload, at)
                if name == 4:
                    self.stream_room += value - self.stream_start
                    self.stream_start = value
            self.socket.sendall(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.socket.sendall(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            more = struct.unpack(">I", payload)[0]
            if stream == 0:
                self.room += more
            elif stream == self.stream:
                self.stream_room += more
        elif kind == GOAWAY:
            raise ConnectionError("the server ends the connection")
        if stream == self.stream and (kind == RST_STREAM or kind in (DATA, HEADERS) and flags & END_STREAM):
            self.ended = True


# --- Neighbours: each is a generator that yields, after each call, whether it was answered ---

MARK = b"0000000000"


def marked(number):
    return f"{number:010}".encode()


def changed_import(ports):
    """10,000 records with the same ids and other contents in each call."""
    template = framed(import_request((f"record-{index:05}", b"content " + MARK) for index in range(RECORDS)))
    connection = Connection(ports.server)
    for number in itertools.count(1):
        yield connection.call("ImportPatients", template.replace(MARK, marked(number)))


def same_import(ports):
    """10,000 records, the same in each call."""
    body = framed(import_request((f"record-{index:05}", b"content") for index in range(RECORDS)))
    connection = Connection(ports.server)
    while True:
        yield connection.call("ImportPatients", body)


def new_import(ports):
    """10,000 new records in each call."""
    template = framed(import_request((f"record-{index:05}-" + MARK.decode(), b"content") for index in range(RECORDS)))
    connection = Connection(ports.server)
    for number in itertools.count(1):
        yield connection.call("ImportPatients", template.replace(MARK, marked(number)))


def poison(ports):
    """1,000 records in each call with U+0000 in their ids, which the server refuses."""
    template = framed(import_request((f"\0record-{index:04}-" + MARK.decode(), b"content") for index in range(1000)))
    connection = Connection(ports.server)
    for number in itertools.count(1):
        yield connection.call("ImportPatients", template.replace(MARK, marked(number)))


def submit_again_and_again(ports, items):
    template = framed(submit_request("tiny-" + MARK.decode(), items))
    connection = Connection(ports.server)
    for number in itertools.count(1):
        yield connection.call("Submit", template.replace(MARK, marked(number), 1))


def tiny_items(ports):
    """Requests of 16 MiB that consist of empty items; far more than limits.answers allows."""
    item = field(7, b"")
    return submit_again_and_again(ports, item * ((REQUEST_BYTES - 1000) // len(item)))


def tiny_answers(ports):
    """As many answers of one byte as limits.answers allows, in each request."""
    item = field(7, field(1, "q") + field(3, enum_field(1, 1)))
    return submit_again_and_again(ports, item * ANSWERS_MAX)


def large_requests(ports):
    """Requests of nearly 16 MiB with one long answer."""
    return submit_again_and_again(ports, field(7, field(1, "q") + field(3, field(7, "x" * (REQUEST_BYTES - 1000)))))


def receipts(ports):
    """GetReceipts for 10,000 unknown ids, on 4 connections."""
    body = framed(field(1, STUDY) + b"".join(field(2, f"unknown-{index:05}") for index in range(RECORDS)))
    connections = [Connection(ports.server) for _ in range(4)]
    while True:
        for connection in connections:
            connection.begin("GetReceipts")
            connection.send(body)
        for connection in connections:
            while not connection.ended:
                connection.read_frames()
            yield connection.got_data


def unread_streams(ports):
    """800 streams whose client sends submissions and leaves all receipts unread."""
    connections = [Connection(ports.server, stream_window=0) for _ in range(8)]
    number = 0
    for _ in range(100):
        for connection in connections:
            connection.begin("SubmitStream")
            for _ in range(20):
                number += 1
                connection.send(framed(submit_request(f"unread-{time.time_ns()}-{number}")), end=False)
            yield True
    yield from rest()


def slow_readers(ports):
    """80 GetReceipts for 10,000 ids whose answers are never read; 8 further calls a second."""
    body = framed(field(1, STUDY) + b"".join(field(2, f"unknown-{index:05}") for index in range(RECORDS)))
    connections = [Connection(ports.server, stream_window=0) for _ in range(8)]
    for turn in itertools.count():
        for connection in connections:
            connection.begin("GetReceipts")
            connection.send(body)
            yield True
        if turn >= 10:
            time.sleep(1)


def slow_senders(ports):
    """400 calls that announce 16 MiB, send 64 KiB, and then a byte every second."""
    part = b"\0" + struct.pack(">I", REQUEST_BYTES - 1000) + b"x" * 60_000
    connections = [Connection(ports.server) for _ in range(400)]
    for connection in connections:
        connection.begin("Submit")
        connection.send(part, end=False)
        yield True
    while True:
        time.sleep(1)
        for connection in connections:
            connection.send(b"x", end=False)


def phones(ports):
    """A phone after the other that connects, sends a submission, and disconnects at once."""
    for number in itertools.count():
        connection = Connection(ports.server)
        connection.begin("Submit")
        connection.send(framed(submit_request(f"phone-{time.time_ns()}-{number}")))
        connection.socket.close()
        yield True


def probes(ports):
    """Requests for /metrics and /readyz, one after the other, on four connections at a time."""
    while True:
        clients = []
        for path in ("/metrics", "/readyz") * 2:
            client = socket.create_connection(("127.0.0.1", ports.metrics), timeout=60)
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            clients.append(client)
        for client in clients:
            answer = client.recv(2**20)
            while client.recv(2**20):
                pass
            client.close()
            yield answer.startswith(b"HTTP/1.1 200")


def run_ctl(ports, *arguments):
    command = [f"{ports.binaries}/sluicectl", *arguments, f"--admin=127.0.0.1:{ports.admin}"]
    while True:
        yield subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def export(ports):
    """sluicectl export of all responses, again and again."""
    return run_ctl(ports, "export")


def quarantine_list(ports):
    """sluicectl quarantine list, again and again."""
    return run_ctl(ports, "quarantine", "list")


def rest():
    while True:
        time.sleep(1)
        yield True


NEIGHBOURS = {play.__name__: play for play in (
    changed_import, same_import, new_import, poison, tiny_items, tiny_answers, large_requests, receipts,
    unread_streams, slow_readers, slow_senders, phones, probes, export, quarantine_list)}


class Ports:
    def __init__(self, server, metrics, admin, binaries):
        self.server, self.metrics, self.admin, self.binaries = int(server), int(metrics), int(admin), binaries


def main():
    counts = {"calls": 0, "answered": 0, "lost": ""}

    def finish(*_):
        print(json.dumps(counts), flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, finish)
    play, ports = NEIGHBOURS[sys.argv[1]], Ports(*sys.argv[2:])
    while True:
        try:
            for answered in play(ports):
                counts["calls"] += 1
                counts["answered"] += answered
        except OSError as error:  # the server ended a connection: start again
            counts["lost"] = str(error)
            time.sleep(0.1)


if __name__ == "__main__":
    main()
