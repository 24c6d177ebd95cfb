"""Reads a batch of CloudEvents with the CNCF's Python SDK, and prints what it has understood of each."""

import json
import sys

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

for event in json.load(sys.stdin.buffer):
    read = JSONFormat().read(CloudEvent, json.dumps(event))
    attributes = {name: str(value) for name, value in read.get_attributes().items()}
    attributes["time"] = read.get_time().isoformat()
    print(json.dumps({"attributes": attributes, "data": read.get_data()}))
