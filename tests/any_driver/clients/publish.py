"""Runs the commands of tests/any_driver/clients/script.rs, and publishes by hand."""

import json
import sys
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
if url.scheme == "mysql":
    import pymysql

    connection = pymysql.connect(
        host=url.hostname, port=url.port, user=url.username, database=url.path[1:], autocommit=True
    )
    call = "CALL message_bus_publish('orders', 'OrderPlaced', 1, %s, NULL, NULL, NULL, NULL, NULL, NULL)"
else:
    import psycopg

    connection = psycopg.connect(sys.argv[1], autocommit=True)
    call = "SELECT message_bus_publish('orders', 'OrderPlaced', 1, %s)"

for line in sys.stdin:
    command = json.loads(line)
    try:
        with connection.cursor() as cursor:
            if "publish" in command:
                cursor.execute(call, [command["publish"]])
                if url.scheme == "mysql":
                    cursor.execute("SELECT @message_bus_id")
                assert cursor.fetchone()[0] is not None, "no id"
            else:
                cursor.execute(command["execute"])
        answer = "ok"
    except Exception as error:
        answer = repr(str(error))
    print(answer, flush=True)
