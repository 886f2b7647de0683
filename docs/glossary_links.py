"""Link the glossary with the pages of the interface and with the notebooks, both ways.

A name in the glossary's code leads to its entry on a page of the interface, which names the terms that lead to it. A
term that a notebook emphasises leads, where it first does so below its title, to the glossary, which names it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

GLOSSARY = "docs/glossary"
OTHER_SENSES = {("02", "embedding space"): "", ("08", "kernel"): "kernel of two models"}  # (notebook, word): its term


@dataclass(frozen=True)
class Entry:
    """A row of the glossary: its terms, the nodes of its first cell and of its code, and the name of its place."""

    terms: list[str]
    first_cell: nodes.entry
    code: list[nodes.literal]

    @property
    def anchor(self) -> str:
        """The name of its place on the page."""
        return "term-" + nodes.make_id(self.terms[0])


def read_entries(doctree: nodes.document) -> list[Entry]:
    """Read the rows of the glossary's tables."""
    rows = [row for body in doctree.findall(nodes.tbody) for row in body.findall(nodes.row)]
    return [Entry(row[0].astext().split(", "), row[0], list(row[-1].findall(nodes.literal))) for row in rows]


def find_object(code: str, names: list[str]) -> str | None:
    """Find the documented object that a piece of code names first: its full name, or None.

    A variable such as ``path`` stands for the class whose name holds it, such as ``ExplorationPath``.
    """
    *owner, name = re.match(r"[\w.]*", code)[0].split(".")
    found = [each for each in names if each.split(".")[-1] == name]
    owned = [each for each in found if owner and owner[-1].lower() in each.rsplit(".", 1)[0].split(".")[-1].lower()]
    return min(owned or found, key=len, default=None)


def emphasised_terms(doctree: nodes.document, docname: str, terms: dict[str, Entry]) -> Iterator[tuple]:
    """Yield each entry whose term a notebook emphasises, the node where it first does so, and that node's section."""
    number, seen = PurePosixPath(docname).name.split("_")[0], set()
    for node in list(doctree.findall(lambda each: isinstance(each, nodes.emphasis | nodes.strong))):
        word = node.astext().lower()
        word = word if word in terms else word.removesuffix("s")
        entry = terms.get(OTHER_SENSES.get((number, word), word))
        section = find_section(node)
        is_text = not isinstance(node.parent, nodes.title | nodes.reference) and find_section(section.parent)
        if entry and entry.anchor not in seen and is_text:
            seen.add(entry.anchor)
            yield entry, node, section


def find_section(node: nodes.Node | None) -> nodes.section | None:
    """Find the innermost section that a node lies in; None outside of all."""
    while node is not None and not isinstance(node, nodes.section):
        node = node.parent
    return node


def link_glossary(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Write the links of a page; connected to Sphinx's event doctree-resolved."""
    is_interface, is_notebook = docname.startswith("docs/api/"), docname.startswith("notebooks/")
    if not (docname == GLOSSARY or is_interface or is_notebook):
        return
    entries = read_entries(doctree) if docname == GLOSSARY else read_stored_entries(app.env)

    def link(target: str, anchor: str, text: str) -> nodes.reference:
        address = f"{app.builder.get_relative_uri(docname, target)}#{anchor}"
        return nodes.reference("", text, internal=True, refuri=address)

    objects = app.env.domains["py"].objects
    if docname == GLOSSARY:
        link_terms(app, entries, link)
        link_code(entries, objects, link)
    elif is_interface:
        name_terms(doctree, entries, objects, link)
    else:
        for entry, node, _ in emphasised_terms(doctree, docname, by_term(entries)):
            reference = link(GLOSSARY, entry.anchor, node.astext())
            node.clear()
            node += reference


@functools.cache
def read_stored_entries(env: BuildEnvironment) -> list[Entry]:
    """Read the entries of the glossary, once for all pages."""
    return read_entries(env.get_doctree(GLOSSARY))


def by_term(entries: list[Entry]) -> dict[str, Entry]:
    """Give the entries by their terms, in small letters."""
    return {term.lower(): entry for entry in entries for term in entry.terms}


def link_terms(app: Sphinx, entries: list[Entry], link) -> None:
    """Give each row its place, and links to the notebooks that emphasise its term."""
    for entry in entries:
        entry.first_cell["ids"].append(entry.anchor)
    notebooks = sorted(name for name in app.env.found_docs if name.startswith("notebooks/"))
    for notebook in notebooks:
        number = PurePosixPath(notebook).name.split("_")[0]
        for entry, _, section in emphasised_terms(app.env.get_doctree(notebook), notebook, by_term(entries)):
            entry.first_cell[-1] += [nodes.Text(" "), link(notebook, section["ids"][0], number)]


def link_code(entries: list[Entry], objects: dict, link) -> None:
    """Let each piece of code lead to its entry on a page of the interface."""
    for literal in [literal for entry in entries for literal in entry.code]:
        name = find_object(literal.astext(), list(objects))
        if name:
            reference = link(objects[name].docname, objects[name].node_id, "")
            literal.replace_self(reference)
            reference += literal


def name_terms(doctree: nodes.document, entries: list[Entry], objects: dict, link) -> None:
    """Name the glossary's terms under each documented object that they lead to."""
    leading: dict[str, list[Entry]] = {}
    for entry in entries:
        for name in {find_object(literal.astext(), list(objects)) for literal in entry.code} - {None}:
            leading.setdefault(name, []).append(entry)
    for described in doctree.findall(addnodes.desc):
        identifiers = described[0].get("ids", [])
        found = [entry for identifier in identifiers for entry in leading.get(identifier, [])]
        if found:
            paragraph = nodes.paragraph("", "In the glossary: ", classes=["in-glossary"])
            for index, entry in enumerate(found):
                paragraph += nodes.Text(", " if index else "")
                paragraph += link(GLOSSARY, entry.anchor, entry.terms[0])
            described[-1].insert(min(1, len(described[-1])), paragraph)
