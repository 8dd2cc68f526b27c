"""yaml_to_json.py INPUT OUTPUT: writes a YAML document as compact JSON.

A key that stands twice in one mapping is an error: YAML readers keep the last one silently, and
half of the document would be lost.
"""

import json
import sys

import yaml


class StrictLoader(yaml.SafeLoader):
    """Refuses duplicate keys, and reads dates as the strings that JSON needs."""


def strict_mapping(loader, node):
    seen = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.YAMLError(f"key {key!r} is not a string {key_node.start_mark}")
        if key in seen:
            raise yaml.YAMLError(f"key {key!r} stands twice {key_node.start_mark}")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


def main():
    source, target = sys.argv[1:]
    StrictLoader.add_constructor("tag:yaml.org,2002:map", strict_mapping)
    StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", StrictLoader.construct_yaml_str)
    with open(source, encoding="utf-8") as stream:
        document = yaml.load(stream, StrictLoader)
    with open(target, "w", encoding="utf-8") as stream:
        json.dump(document, stream, ensure_ascii=False, separators=(",", ":"))
        stream.write("\n")


if __name__ == "__main__":
    main()
