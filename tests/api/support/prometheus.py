"""A strict reader of Prometheus' text format, version 0.0.4."""

import re
from collections import namedtuple

Sample = namedtuple("Sample", "name labels value")

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_VALUE = r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|\+Inf|NaN"
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? ({_VALUE})")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def parse(text):
    """{family: (type, [Sample])}; fails on whatever the format does not allow."""
    assert text.endswith("\n"), "expected the last line to end with a newline"
    families, helps, current = {}, set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ")[2]
            assert name not in helps, f"expected one HELP line of {name}"
            helps.add(name)
        elif line.startswith("# TYPE "):
            _, _, current, kind = line.split(" ")
            assert current not in families, f"expected the family {current} to stand together"
            assert kind in ("counter", "gauge", "histogram"), line
            families[current] = (kind, [])
        else:
            sample = _parse_sample(line)
            kind, samples = families.get(current, (None, None))
            allowed = {current} if kind != "histogram" else {
                f"{current}{suffix}" for suffix in ("_bucket", "_sum", "_count")}
            assert sample.name in allowed, f"expected a sample of {current}: {line!r}"
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in {(one.name, tuple(sorted(one.labels.items()))) for one in
                               samples[-40:]}, f"expected the series once: {line!r}"
            samples.append(sample)
    for name, (kind, samples) in families.items():
        assert name in helps, f"expected a HELP line of {name}"
        keys = [(one.name, tuple(sorted(one.labels.items()))) for one in samples]
        assert len(set(keys)) == len(keys), f"expected each series of {name} once"
        if kind == "counter":
            assert name.endswith("_total"), f"expected the counter {name} to end in _total"
            assert all(one.value >= 0 for one in samples)
        if kind == "histogram":
            _check_histogram(name, samples)
    return families


def _parse_sample(line):
    match = _SAMPLE.fullmatch(line)
    assert match, f"bad line in the metrics: {line!r}"
    name, inner, value = match.groups()
    labels, at = {}, 0
    while inner and at < len(inner):
        label = _LABEL.match(inner, at)
        assert label, f"bad labels in the metrics: {line!r}"
        assert label[1] not in labels, f"expected each label once: {line!r}"
        labels[label[1]] = label[2]
        at = label.end()
    return Sample(name, labels, float(value.replace("+Inf", "inf")))


def _check_histogram(name, samples):
    """Buckets grow, the last is +Inf, and it equals the count."""
    groups = {}
    for one in samples:
        key = tuple(sorted((k, v) for k, v in one.labels.items() if k != "le"))
        groups.setdefault(key, []).append(one)
    for key, group in groups.items():
        buckets = [one for one in group if one.name == f"{name}_bucket"]
        bounds = [float(one.labels["le"].replace("+Inf", "inf")) for one in buckets]
        assert bounds == sorted(bounds) and bounds[-1] == float("inf"), f"buckets of {name} {key}"
        counts = [one.value for one in buckets]
        assert counts == sorted(counts), f"expected the buckets of {name} {key} to grow: {counts}"
        count, = [one.value for one in group if one.name == f"{name}_count"]
        assert counts[-1] == count, f"expected +Inf and _count of {name} {key} to be equal"
        assert len([one for one in group if one.name == f"{name}_sum"]) == 1


def value(families, family, **labels):
    """The sum over all series of a family that have those labels."""
    assert family in families, f"expected the family {family} among {sorted(families)}"
    return sum(one.value for one in families[family][1]
               if not one.name.endswith(("_bucket", "_sum"))
               and labels.items() <= one.labels.items())
