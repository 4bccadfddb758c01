"""A page that says which libraries serve it."""

from importlib.metadata import version

from flask import Flask
from markupsafe import escape

app = Flask(__name__)


@app.get("/")
def page():
    names = ["flask", "jinja2", "markupsafe", "waitress", "werkzeug"]
    rows = "".join(f"<li>{escape(name)} {escape(version(name))}</li>" for name in names)
    return f"<!doctype html><title>hello</title><h1>Hello</h1><ul>{rows}</ul>\n"
