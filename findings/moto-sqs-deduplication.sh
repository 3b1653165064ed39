#!/usr/bin/env bash
# moto 5.2.5: a FIFO queue delivers a deduplication id again as soon as the first message of it is deleted, and
# does not heed DeduplicationScope.
#
# SQS knows an id for five minutes, "even after the message is received and deleted"; and on a queue whose
# DeduplicationScope is messageGroup, it knows it within each group by itself. In moto, the id is known for as
# long as its message is there, and for the whole queue. Who tests against moto sees duplicates where SQS has
# none, and loses messages where SQS has them.
#
# What it printed, with Python 3.11 on Linux (packages and MB may differ elsewhere):
#
#     packages: 20, MB: 113
#     of two with one id: ['first']
#     of a third, once the first is deleted: ['third'] where SQS delivers none for five minutes
#     of one id in two groups, by group: ['of a'] where SQS delivers both
#
# Fails if one of this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'moto[sqs]==5.2.5'
echo "packages: $("$folder/venv/bin/python" -m pip list --format=freeze --exclude pip --exclude setuptools | wc -l), MB: $(du -sm --exclude='pip*' --exclude='setuptools*' "$folder/venv/lib" | cut -f1)"
export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=eu-central-1
"$folder/venv/bin/python" - <<'PYTHON'
import boto3
from moto import mock_aws


def queue(name, **attributes):
    attributes = {"FifoQueue": "true", **attributes}
    return sqs.create_queue(QueueName=f"{name}.fifo", Attributes=attributes)["QueueUrl"]


def send(url, body, group):
    sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId="same")


def receive(url):
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [message["Body"] for message in messages]


with mock_aws():
    sqs = boto3.client("sqs")
    url = queue("plain")
    send(url, "first", "a")
    send(url, "second", "a")
    before = receive(url)
    send(url, "third", "a")
    after = receive(url)
    print("of two with one id:", before)
    print("of a third, once the first is deleted:", after, "where SQS delivers none for five minutes")

    url = queue("by-group", DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    send(url, "of a", "a")
    send(url, "of b", "b")
    groups = receive(url)
    print("of one id in two groups, by group:", groups, "where SQS delivers both")

assert before == ["first"]
assert after == ["third"]
assert groups == ["of a"]
PYTHON
