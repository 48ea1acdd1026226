"""Prints what DuckDB sees in the Parquet files of a directory, as JSON: sums.py DIRECTORY POD"""
import json
import sys

import duckdb

directory, pod = sys.argv[1:]
flows = f"read_parquet('{directory}/*.parquet')"


def rows(query, *values):
    return duckdb.execute(query, list(values)).fetchall()


print(
    json.dumps(
        {
            "columns": [[name, kind] for name, kind, *_ in rows(f"DESCRIBE SELECT * FROM {flows}")],
            "flows": rows(f"SELECT count(*) FROM {flows}")[0][0],
            "sequences": int(rows(f"SELECT sum(sequence) FROM {flows}")[0][0]),
            "times": [int(x) for x in rows(f"SELECT epoch_ns(min(time)), epoch_ns(max(time)) FROM {flows}")[0]],
            "verdicts": dict(rows(f"SELECT verdict, count(*) FROM {flows} GROUP BY verdict")),
            "drops": rows(
                f"SELECT count(*) FROM {flows} WHERE verdict = 'DROPPED' AND ? IN (source_pod, destination_pod)", pod
            )[0][0],
            "labelled": rows(f"SELECT count(*) FROM {flows} WHERE list_contains(source_labels, 'k8s:tier=2')")[0][0],
            "errors": rows(f"SELECT count(*) FROM {flows} WHERE http_code >= 500")[0][0],
            "uuid": rows(
                """SELECT format('{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}',
                       (run >> 28)::BIGINT, ((run >> 12) & 65535)::BIGINT, (run & 4095)::BIGINT,
                       (32768 + (sequence >> 48))::BIGINT, (sequence & 281474976710655)::BIGINT)
                   FROM """
                + f"{flows} WHERE sequence = 123456"
            )[0][0],
            "ports": int(rows(f"SELECT sum(destination_port) FROM {flows}")[0][0]),
            "denied": rows(f"SELECT count(*) FROM {flows} WHERE egress_judgement = 'denied' AND egress_policies[1] LIKE 'isolate-%'")[0][0],
        }
    )
)
