"""The servers that `compare` sets side by side, each a row of its tables."""

import dataclasses

from servers import (BLOCK, DISCARD, HANGING, JOURNAL, METHODS, QUEUED, SQLITE, floor_command, naive_command,
                     sluice_command)

FLOOR = "floor"
UNARY = ("submit",)
BOTH = ("submit", "stream")  # sluice-load --method


@dataclasses.dataclass
class Row:
    """`command` gets the port and a fresh folder."""

    name: str
    what: str
    command: object
    methods: tuple = BOTH
    # What a call is told.
    expected: str = "OK"
    # Played also where --full does not ask for all.
    common: tuple = ("submit",)


def all_rows(binaries, workers, postgres):
    """The floor first, PostgreSQL only with its URL."""
    def sluice(store, **settings):
        return sluice_command(binaries, store, workers, **settings)

    refusing = sluice_command(binaries, HANGING, 1, queue="{kind: memory, capacity: 1}", batch=1,
                              settings=QUEUED.replace("block", "fail_fast"))
    found = [
        Row(FLOOR, "raw bytes, answered unread", floor_command(binaries), common=BOTH),
        Row("corked", "the floor that lets answers go out together, as Sluice does",
            floor_command(binaries, "--cork"), common=BOTH),
        Row("parse", "the floor that parses requests into a message it has had before, and serializes answers",
            floor_command(binaries, "--parse"), common=BOTH),
        Row("naive", "what one writes first: a mutex, a queue, a call at a time, all made anew",
            naive_command(binaries, workers), methods=UNARY),
        Row("refuse-floor", "the floor that refuses each call, with a bare status", floor_command(binaries, "--refuse"),
            methods=UNARY, expected="RESOURCE_EXHAUSTED"),
        Row("refuse", "Sluice with a queue that is kept full, fail_fast: each call is refused", refusing,
            methods=UNARY, expected="RESOURCE_EXHAUSTED"),
        Row("discard", "a store that keeps nothing, ack: stored", sluice(DISCARD), common=BOTH),
        Row("queued", "the same, ack: queued from a memory queue", sluice(DISCARD, settings=QUEUED)),
        Row("many", "as discard, with a pool for each method, shared by sites: more pools, threads and lanes",
            sluice(DISCARD, methods=METHODS, fair_by="site")),
        Row("sqlite", "SQLite, ack: stored", sluice(SQLITE), common=BOTH),
        Row("journal", "a journal before a store that hangs, ack: queued: what it takes to acknowledge durably",
            sluice(HANGING, queue=JOURNAL, settings=BLOCK.replace("stored", "queued"))),
        Row("both", "a journal before SQLite, ack: queued: the core has the storing to do as well",
            sluice(SQLITE, queue=JOURNAL, settings=BLOCK.replace("stored", "queued"))),
    ]
    if postgres:
        found.append(Row("postgres", "PostgreSQL, ack: stored", sluice(f'{{kind: postgres, url: "{postgres}"}}'),
                         common=BOTH))
    return found
