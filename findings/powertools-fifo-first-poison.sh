#!/usr/bin/env bash
# aws-lambda-powertools 3.37.0: the processor for FIFO queues raises where the first message of a batch fails.
#
# SqsFifoPartialProcessor keeps the order of a batch: after the first failure it fails all that follow. So a
# failure of the very first message is one of the whole batch, and of that it makes a BatchProcessingError
# instead of the list of failures that it returns where the second message is the first to fail. Its
# constructor takes no raise_on_entire_batch_failure, which that of BatchProcessor has.
#
# What it printed:
#
#     fifo, second is poison: failed ['poison', 'b'], done ['a']
#     fifo, first is poison: failed BatchProcessingError, done []
#     fifo by groups, first is poison: failed ['poison'], done ['a', 'b']
#     fifo by groups, alone: failed BatchProcessingError, done []
#     plain, first is poison: failed ['poison'], done ['a', 'b']
#     plain, alone: failed ['poison'], done []
#     the constructor for FIFO takes raise_on_entire_batch_failure: False
#
# Fails if one of this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check aws-lambda-powertools==3.37.0
"$folder/venv/bin/python" - <<'PYTHON'
import inspect

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    SqsFifoPartialProcessor,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

done = []


def work(record):  # called as work(record=...): by this name and no other
    if record.body == "poison":
        raise ValueError("poison")
    done.append(record.body)


def batch(*bodies):
    records = [
        {"messageId": body, "body": body, "attributes": {"MessageGroupId": body}, "eventSource": "aws:sqs"}
        for body in bodies
    ]
    return {"Records": records}


def answered(processor, *bodies):
    done.clear()
    try:
        answer = process_partial_response(event=batch(*bodies), record_handler=work, processor=processor)
        said = [one["itemIdentifier"] for one in answer["batchItemFailures"]]
    except BatchProcessingError:
        said = "BatchProcessingError"
    return said, list(done)


fifo = SqsFifoPartialProcessor
plain = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
found = {
    "fifo, second is poison": answered(fifo(), "a", "poison", "b"),
    "fifo, first is poison": answered(fifo(), "poison", "a", "b"),
    "fifo by groups, first is poison": answered(fifo(skip_group_on_error=True), "poison", "a", "b"),
    "fifo by groups, alone": answered(fifo(skip_group_on_error=True), "poison"),
    "plain, first is poison": answered(plain, "poison", "a", "b"),
    "plain, alone": answered(plain, "poison"),
}
for case, (failed, worked) in found.items():
    print(f"{case}: failed {failed}, done {worked}")
takes_it = "raise_on_entire_batch_failure" in inspect.signature(fifo).parameters
print("the constructor for FIFO takes raise_on_entire_batch_failure:", takes_it)
assert found == {
    "fifo, second is poison": (["poison", "b"], ["a"]),
    "fifo, first is poison": ("BatchProcessingError", []),
    "fifo by groups, first is poison": (["poison"], ["a", "b"]),
    "fifo by groups, alone": ("BatchProcessingError", []),
    "plain, first is poison": (["poison"], ["a", "b"]),
    "plain, alone": (["poison"], []),
}
assert not takes_it
PYTHON
