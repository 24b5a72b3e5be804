"""The published description of the messages is that of the code."""

from ops import asyncapi


def test_asyncapi_yaml_is_what_the_models_say(request):
    written = (request.config.rootpath / "docs" / "asyncapi.yaml").read_text(encoding="utf-8")
    assert written == asyncapi.text(), "run: python -m ops.asyncapi docs/asyncapi.yaml"


def test_every_reference_in_it_leads_somewhere():
    document = asyncapi.document()

    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(document))
    assert "#/components/schemas/Window" in found
    for reference in found:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
