"""JSON Schema, as far as docs/result.schema.json uses it; a keyword beyond that is an error. In plain Python, so that the
records are checked wherever the tests run."""

import math
import re

TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v),
    "null": lambda v: v is None,
}
BOUNDS = {
    "minimum": lambda v, bound: v >= bound,
    "maximum": lambda v, bound: v <= bound,
    "exclusiveMinimum": lambda v, bound: v > bound,
}
KEYWORDS = {"$schema", "$defs", "$ref", "title", "type", "const", "enum", "pattern", "required", "properties", "items"}
KEYWORDS |= {"additionalProperties", "anyOf", "if", "then", *BOUNDS}


def breaches(schema, value, root=None, path="$"):
    """Where `value` is not what `schema` asks for: a list of sentences, empty if it fits."""
    root = schema if root is None else root
    unknown = schema.keys() - KEYWORDS
    assert not unknown, f"the check does not know the keywords {unknown}"
    found = []
    if "$ref" in schema:
        found += breaches(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root, path)
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(TYPES[each](value) for each in types):
            return [*found, f"{path} is {value!r}, not of type {' or '.join(types)}"]
    if "const" in schema and value != schema["const"]:
        found.append(f"{path} is {value!r}, not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path} is {value!r}, none of {schema['enum']}")
    for keyword, holds in BOUNDS.items():
        if keyword in schema and TYPES["number"](value) and not holds(value, schema[keyword]):
            found.append(f"{path} is {value!r}, beyond the {keyword} {schema[keyword]}")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        found.append(f"{path} is {value!r}, which does not match {schema['pattern']}")
    if isinstance(value, dict):
        found += [f"{path} lacks {key}" for key in schema.get("required", []) if key not in value]
        properties = schema.get("properties", {})
        for key, each in value.items():
            rule = properties.get(key, schema.get("additionalProperties", {}))
            if rule is False:
                found.append(f"{path} has {key}, which is not described")
            else:
                found += breaches(rule, each, root, f"{path}.{key}")
    if isinstance(value, list) and "items" in schema:
        for i, each in enumerate(value):
            found += breaches(schema["items"], each, root, f"{path}[{i}]")
    if "anyOf" in schema:
        choices = [breaches(each, value, root, path) for each in schema["anyOf"]]
        if all(choices):
            found.append(f"{path} fits none of its alternatives: {min(choices, key=len)}")
    if "if" in schema and not breaches(schema["if"], value, root, path):
        found += breaches(schema.get("then", {}), value, root, path)
    return found
