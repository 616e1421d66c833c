"""The servers that `compare` measures, each a row of its tables."""

import dataclasses

from servers import (BLOCK, DISCARD, HANGING, JOURNAL, METHODS, QUEUED, SQLITE, floor_command, naive_command,
                     sluice_command)

FLOOR = "floor"
UNARY = ("submit",)
BOTH = ("submit", "stream")  # sluice-load --method


@dataclasses.dataclass
class Row:
    """A server. `command` makes the command for a port and a fresh folder."""

    name: str
    what: str
    command: object
    methods: tuple = BOTH
    # Status of every call.
    expected: str = "OK"
    # Methods that are measured without --full.
    common: tuple = ("submit",)


def all_rows(binaries, workers, postgres):
    """Returns all rows, the floor first. PostgreSQL needs a URL."""
    def sluice(store, **settings):
        return sluice_command(binaries, store, workers, **settings)

    refusing = sluice_command(binaries, HANGING, 1, queue="{kind: memory, capacity: 1}", batch=1,
                              settings=QUEUED.replace("block", "fail_fast"))
    found = [
        Row(FLOOR, "raw bytes, answered without being read", floor_command(binaries), common=BOTH),
        Row("corked", "the floor, with answers sent together as Sluice does",
            floor_command(binaries, "--cork"), common=BOTH),
        Row("parse", "the floor, parsing requests into a reused message and serializing answers",
            floor_command(binaries, "--parse"), common=BOTH),
        Row("naive", "the obvious design: a mutex, a queue, one call at a time, nothing reused",
            naive_command(binaries, workers), methods=UNARY),
        Row("refuse-floor", "the floor, refusing each call with a bare status", floor_command(binaries, "--refuse"),
            methods=UNARY, expected="RESOURCE_EXHAUSTED"),
        Row("refuse", "Sluice with a full queue and fail_fast: each call is refused", refusing,
            methods=UNARY, expected="RESOURCE_EXHAUSTED"),
        Row("discard", "Sluice with a store that keeps nothing, ack: stored", sluice(DISCARD), common=BOTH),
        Row("queued", "as discard, with ack: queued from a memory queue", sluice(DISCARD, settings=QUEUED)),
        Row("many", "as discard, with one pool a method, shared by site: more pools, threads and lanes",
            sluice(DISCARD, methods=METHODS, fair_by="site")),
        Row("sqlite", "SQLite, ack: stored", sluice(SQLITE), common=BOTH),
        Row("journal", "a journal before a store that hangs, ack: queued: the cost of a durable acknowledgement",
            sluice(HANGING, queue=JOURNAL, settings=BLOCK.replace("stored", "queued"))),
        Row("both", "a journal before SQLite, ack: queued: the same core also stores",
            sluice(SQLITE, queue=JOURNAL, settings=BLOCK.replace("stored", "queued"))),
    ]
    if postgres:
        found.append(Row("postgres", "PostgreSQL, ack: stored", sluice(f'{{kind: postgres, url: "{postgres}"}}'),
                         common=BOTH))
    return found
