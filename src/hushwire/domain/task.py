"""A task: a row with a `due` time and a `lane` (ARCHITECTURE.md, idea 2).

What is scheduled, retried, paced, waited for or swept is a task. It belongs to one record
and has a number within it, so recording it twice replaces it.
"""

from enum import IntEnum

from msgspec import Struct

TaskRef = tuple[int, int]  # (record, number)


class TaskKind(IntEnum):
    """What a worker does when the task is due."""

    SUBMIT = 1  # hand the message to a carrier; stays until the carrier's answer is recorded
    SETTLE = 3  # the wait for a receipt ends
    LATE = 4  # a late receipt is no longer looked up
    REDACT = 5  # the recovery hold ends
    CALLBACK = 6  # tell the customer a status
    CHOOSE = 7  # a sender for a message of a service, at once or when it is scheduled
    INBOUND = 8  # tell the customer that somebody wrote, and do as the answer says
    FETCH = 9  # get the media that go with a message, before it is submitted
    MEDIA = 10  # the hold on the media of a message ends


class Task(Struct, frozen=True, array_like=True, gc=False):
    """One thing to do, at `due_ms` (Unix ms) or as soon after as its lane allows."""

    record: int  # the message's key
    number: int
    kind: TaskKind
    lane: int
    due_ms: int
    attempt: int = 0
    detail: str | None = None
    ref: str | None = None  # the carrier's id of the message, while a receipt is awaited
    held: bool = False  # in this process's memory: not claimed from the table
