"""A producer of kafka-python that is told what to do: each line of its input names a topic, each line of its output says what became of one message."""

import sys

from kafka import KafkaProducer
from kafka.errors import KafkaError

# An idempotent one takes the first message that a broker refuses for the end of everything.
producer = KafkaProducer(bootstrap_servers=sys.argv[1], client_id=sys.argv[2], enable_idempotence=False)
for line in sys.stdin:
    try:
        producer.send(line.strip(), b"from python").get(timeout=20)
        print("sent", flush=True)
    except KafkaError as error:
        print(type(error).__name__, flush=True)
