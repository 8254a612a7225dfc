#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Judges of what the mshv command prints: others' programs, not its own.

check.py schema SCHEMA FILE     JSON against a schema of docs/schemas, by jsonschema; every key that the schema names must
                                be there (--some: need not), and with --lines each line of FILE is a text of its own
check.py openmetrics FILE...    by the reference parser of prometheus_client; later files must not count backwards
check.py names METRICS FILE...  every metric that the dashboard and the rules ask for is one that METRICS has
check.py map FILE               runs without gaps that add up
check.py prometheus FOLDER      what a Prometheus told of both guests

Says what is wrong and exits with 1.
"""
import json
import pathlib
import re
import sys


def fail(*what):
    print("#", *what)
    sys.exit(1)


def validator_of(schema, folder):
    """One schema may name parts of others of its folder."""
    import jsonschema

    others = {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}
    jsonschema.Draft202012Validator.check_schema(schema)
    try:
        from referencing import Registry, Resource
    except ImportError:  # before jsonschema 4.18
        resolver = jsonschema.RefResolver.from_schema(schema, store=others)
        return jsonschema.Draft202012Validator(schema, resolver=resolver)
    registry = Registry().with_resources((name, Resource.from_contents(other)) for name, other in others.items())
    return jsonschema.Draft202012Validator(schema, registry=registry)


def check_schema(schema_name, name, *options):
    schema = json.loads(pathlib.Path(schema_name).read_text())
    validator = validator_of(schema, pathlib.Path(schema_name).parent)
    text = pathlib.Path(name).read_text(encoding="utf-8")
    values = [json.loads(line) for line in text.splitlines()] if "--lines" in options else [json.loads(text)]
    if not values or not values[-1]:
        fail(name, "says nothing")
    for number, value in enumerate(values):
        for error in validator.iter_errors(value):
            fail(f"{name}:{number + 1}: {error.json_path}: {error.message}")
    if "--some" in options or schema.get("type") != "array":
        return
    named = set(schema["items"]["properties"]) - set(schema.get("x-optional", []))
    for value in values[0]:
        if named - set(value):
            fail(name, "lacks", named - set(value))


def families_of(name):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    text = pathlib.Path(name).read_text(encoding="utf-8")
    return {family.name: family for family in text_string_to_metric_families(text)}


def check_openmetrics(*names):
    before = {}
    for name in names:
        families = families_of(name)
        if len(families) < 15:
            fail(name, "has only", len(families), "families")
        now = {}
        for family in families.values():
            if not family.documentation:
                fail(name, family.name, "has no help")
            if family.name.endswith("_bytes") != (family.unit == "bytes"):
                fail(name, family.name, "has another unit than its name says")
            for sample in family.samples:
                if family.name not in ("mshv_partitions", "mshv_partitions_killed") and {"partition", "pid"} - set(sample.labels):
                    fail(name, sample.name, "lacks a label")
                if family.type == "counter":
                    now[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
        for key, value in before.items():
            if key in now and now[key] < value:
                fail(name, *key, "went from", value, "to", now[key])
        before = now
        guests = {s.labels["partition"] for s in families["mshv_partition"].samples}
        if len(guests) != 2:
            fail(name, "has the guests", guests)
        for s in families["mshv_faults"].samples:
            if s.labels["result"] == "served" and s.value == 0:
                fail(name, "a guest without faults")
        if families["mshv_memory_bytes"].unit != "bytes":
            fail(name, "no unit")


# Words of PromQL, labels, and recorded series are no metrics.
def metrics_in(text):
    return {word for word in re.findall(r"(?<![\w:$])mshv_\w+(?![\w:])", re.sub(r'"[^"]*"|mshv_partition_state=', "", text))}


def check_names(metrics, *names):
    there = set()
    for family in families_of(metrics).values():
        there |= {sample.name for sample in family.samples}
    for name in names:
        text = pathlib.Path(name).read_text()
        if name.endswith(".json"):
            dashboard = json.loads(text)
            expressions = [t["expr"] for p in dashboard["panels"] for t in p["targets"]]
            expressions += [v["definition"] for v in dashboard["templating"]["list"]]
            ids = [p["id"] for p in dashboard["panels"]]
            if len(ids) != len(set(ids)):
                fail(name, "has panels of the same id")
            text = "\n".join(expressions)
        asked = metrics_in(text)
        if len(asked) < 3:
            fail(name, "asks for too little to be checked:", asked)
        if asked - there:
            fail(name, "asks for what there is not:", asked - there)


def check_map(name):
    states = ("absent", "small", "large", "swapped", "shared")
    for region in json.loads(pathlib.Path(name).read_text()):
        at = region["guest-address"]
        sums = dict.fromkeys(states, 0)
        for run in region["runs"]:
            if run["guest-address"] != at:
                fail(name, "a gap at", hex(at))
            at += run["size"]
            sums[run["state"]] += run["size"]
        if at != region["guest-address"] + region["size"]:
            fail(name, "the runs end at", hex(at))
        if any(sums[s] != region[s] for s in states):
            fail(name, "sums differ from", sums)


def value_of(folder, name):
    answer = json.loads((folder / name).read_text())
    if answer["status"] != "success":
        fail(name, answer)
    return answer["data"]


def check_prometheus(folder):
    folder = pathlib.Path(folder)
    pids = set((folder / "pids").read_text().split())
    target = value_of(folder, "targets.json")["activeTargets"][0]
    if target["health"] != "up" or target["lastError"]:
        fail("the target is", target["health"], target["lastError"])
    info = value_of(folder, "info.json")["result"]
    if {s["metric"]["pid"] for s in info} != pids:
        fail("guests", info, "instead of", pids)
    stat = {s["pid"]: s for s in json.loads((folder / "stat-after.json").read_text())}
    for s in value_of(folder, "deposited.json")["result"]:
        # The payload stands still: exactly what the driver says.
        pid = s["metric"]["pid"]
        mine = stat[int(pid)]["deposited-pages"] * 4096
        if pid == (folder / "pids").read_text().split()[0] and int(s["value"][1]) != mine:
            fail("deposited", s["value"], "instead of", mine)
    if not value_of(folder, "rate.json")["result"]:
        fail("no rates")
    metadata = value_of(folder, "metadata.json")
    if metadata["mshv_memory_bytes"][0]["unit"] != "bytes" or metadata["mshv_faults"][0]["type"] != "counter":
        fail("types or units did not arrive")
    rules = [r for g in value_of(folder, "rules.json")["groups"] for r in g["rules"]]
    for r in rules:
        if r["health"] != "ok":
            fail(r["name"], r["health"], r.get("lastError"))
        if r["type"] == "alerting" and r["state"] != "inactive":
            fail(r["name"], "is", r["state"])
    if len(rules) < 4:
        fail("only", len(rules), "rules")


if __name__ == "__main__":
    kinds = {
        "schema": check_schema, "openmetrics": check_openmetrics, "names": check_names, "map": check_map,
        "prometheus": check_prometheus,
    }
    if len(sys.argv) < 3 or sys.argv[1] not in kinds:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    kinds[sys.argv[1]](*sys.argv[2:])
