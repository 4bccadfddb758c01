"""Uses the application as a person does, against the real database and cache, and leaves nothing behind."""

import secrets

from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management.base import BaseCommand, CommandError
from django.test import Client

from inventory.models import Item


def must(good, what):
    if not good:
        raise CommandError(f"selftest: {what}")


class Command(BaseCommand):
    help = __doc__

    def handle(self, *_args, **_options):
        mark = "selftest-" + secrets.token_hex(6)
        person = get_user_model().objects.create_user(mark, password=mark)
        try:
            self.use(mark)
        finally:
            Item.objects.filter(number__startswith=mark).delete()
            person.delete()

    def use(self, mark):
        page = Client()

        def get(path, **values):
            return page.get(path, values, secure=True)

        must(get("/").url.startswith("/login/"), "the list is shown to strangers")
        answer = page.post("/login/", {"username": mark, "password": "wrong"}, secure=True)
        must(answer.status_code == 200, "a wrong password logs in")
        answer = page.post("/login/", {"username": mark, "password": mark}, secure=True)
        must(answer.status_code == 302, "the right password does not log in")
        values = {"number": f"{mark}-1", "name": "Beamer", "room": "2.14", "state": "in use"}
        must(page.post("/new/", values, secure=True).status_code == 302, "no record can be made")
        must(page.post("/new/", values, secure=True).status_code == 200, "one number is given twice")
        must("Beamer" in get("/", q=f"{mark} 2.14").content.decode(), "the record is not found")
        must("Beamer" not in get("/", q=f"{mark} 3.01").content.decode(), "the search finds everything")
        lines = f"number;name;room\n{mark}-1;Projector;\n{mark}-2;Laptop ä;1.01\n"
        sent = {"file": SimpleUploadedFile("items.csv", lines.encode())}
        must(page.post("/import/", sent, secure=True).status_code == 302, "a CSV file is not imported")
        names = list(Item.objects.filter(number__startswith=mark).values_list("name", "room"))
        must(names == [("Projector", "2.14"), ("Laptop ä", "1.01")], f"the file became {names}")
        sent = {"file": SimpleUploadedFile("items.csv", f"number,name\n{mark}-3,Mouse\n{mark}-4,\n".encode())}
        must("Line 3" in page.post("/import/", sent, secure=True).content.decode(), "a wrong line is not named")
        must(Item.objects.filter(number__startswith=mark).count() == 2, "half a file was imported")
        must("Laptop ä" in get("/export.csv", q=mark).content.decode(), "the export lacks a record")
        item = Item.objects.get(number=f"{mark}-1")
        must(page.post(f"/item/{item.pk}/delete/", secure=True).status_code == 302, "a record cannot be removed")
        health = get("/health/").json()
        must(health == {"status": "ok", "database": "ok", "cache": "ok"}, f"health says {health}")
        self.stdout.write("selftest: logged in, made, found, imported, exported, removed")
