"""The set-up guides as HTML."""

from __future__ import annotations

import re

import pytest

from plugin import registry
from plugin.manifest import load_manifest
from plugin.web.markdown import render_markdown


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# A & B", "<h1>A &amp; B</h1>"),
        ("one\ntwo\n\nthree", "<p>one\ntwo</p>\n<p>three</p>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("1. a\n   - b\n2. c", "<ol><li>a<ul><li>b</li></ul></li><li>c</li></ol>"),
        ("- a\n  goes on\n\n  second", "<ul><li>a\ngoes on<p>second</p></li></ul>"),
        ("```\n<b> **x**\n```", "<pre data-copy>&lt;b&gt; **x**</pre>"),
        ("1. a\n\n   ```\n   x\n     y\n   ```", "<ol><li>a<pre data-copy>x\n  y</pre></li></ol>"),
        ("say `**x**` **loud** or *soft*", "<p>say <code>**x**</code> <strong>loud</strong> or <em>soft</em></p>"),
        ("**a `b` c**", "<p><strong>a <code>b</code> c</strong></p>"),
        ("2 * 3 * 4 and {{ticket.id}}", "<p>2 * 3 * 4 and {{ticket.id}}</p>"),
        ("<https://a.example/?x=1&y=2>", '<p><a href="https://a.example/?x=1&amp;y=2" rel="noreferrer">https://a.example/?x=1&amp;y=2</a></p>'),
        ("", ""),
    ],
)  # fmt: skip
def test_markdown_becomes_html(text, html):
    assert str(render_markdown(text)) == html


def test_a_table_has_a_head_and_rows():
    html = render_markdown("| A | B |\n|---|:-:|\n| `x` | y |")

    assert '<thead><tr><th scope="col">A</th><th scope="col">B</th></tr></thead>' in html
    assert "<tbody><tr><td><code>x</code></td><td>y</td></tr></tbody>" in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<javascript:alert(1)>",
        '<https://a.example/" onclick="x>',
        "# <b>",
        "| <b> |",
        "- <b>",
        "`<b>`",
    ],
)
def test_html_never_passes(text):
    tags = set(re.findall(r"<(\w+)", str(render_markdown(text))))

    assert tags <= {"p", "h1", "ul", "li", "code", "div", "table", "thead", "tbody", "tr", "th"}


@pytest.mark.parametrize("source", registry.source_names())
def test_every_guide_is_read_whole(source):
    guide = load_manifest(source, {"url": "https://a.example/triggers/key", "source": "desk", "tenant": "Acme"}).guide

    text = re.sub(r"<pre.*?</pre>|<code>.*?</code>", "", str(render_markdown(guide)), flags=re.DOTALL)

    # Whatever mark of Markdown is still there was not understood.
    assert not re.search(r"\*\*|^#|^\||^- |`", text, re.MULTILINE)
    assert text.count("<h1>") == 1
