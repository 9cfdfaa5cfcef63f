"""Lines of public declarations from what swift-api-digester writes of a module: one each, sorted.

    api_lines.py MODULE < digest.json
"""

import json
import sys

# Conformances that follow from others, or that the compiler adds.
UNTOLD = {"Copyable", "Escapable", "SendableMetatype"}


def conformances(node):
    names = {conformance.get("printedName", "") for conformance in node.get("conformances", [])}
    return sorted(name for name in names - UNTOLD if not name.startswith("_"))


def lines(node, path, module):
    kind = node.get("declKind")
    children = node.get("children", [])
    if node.get("isInternal"):
        return
    if kind and kind != "Import":
        path = path + [node.get("printedName", "")]
        if node.get("moduleName", module) == module:
            name = ".".join(path)
            marks = [word for word, key in (("static", "static"), ("throws", "throwing")) if node.get(key)]
            types = [child.get("printedName", "") for child in children if child.get("kind", "").startswith("Type")]
            types = [] if kind in ("Class", "Struct", "Enum", "Protocol") else types
            yield " ".join([kind.lower(), *marks, name]) + (": " + ", ".join(types) if types else "")
            yield from (f"conformance {name}: {conformance}" for conformance in conformances(node))
    for child in children:
        yield from lines(child, path, module)


module = sys.argv[1]
root = json.load(sys.stdin)["ABIRoot"]
for line in sorted(set(lines(root, [], module)), key=str.encode):
    print(line)
