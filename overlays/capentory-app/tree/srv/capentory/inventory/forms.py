"""What people fill in, and how a CSV file is read: by the same form, a line at a time."""

import csv
import io

from django import forms
from django.db import transaction

from .models import Item

COLUMNS = ["number", "name", "kind", "room", "holder", "serial", "acquired", "state", "notes"]


class ItemForm(forms.ModelForm):
    class Meta:
        model = Item
        fields = COLUMNS
        widgets = {"acquired": forms.DateInput(attrs={"type": "date"}), "notes": forms.Textarea(attrs={"rows": 3})}


class ImportForm(forms.Form):
    file = forms.FileField(label="CSV file", widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}))

    def clean_file(self):
        """The lines of the file, as dictionaries by column."""
        try:
            text = self.cleaned_data["file"].read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise forms.ValidationError("The file is not UTF-8.") from None
        first = text.partition("\n")[0]
        lines = csv.DictReader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",")
        names = lines.fieldnames or []
        if "number" not in names or "name" not in names:
            raise forms.ValidationError("The first line must name the columns, number and name among them.")
        unknown = [name for name in names if name not in COLUMNS]
        if unknown:
            raise forms.ValidationError(f"Unknown columns: {', '.join(unknown)}. Known: {', '.join(COLUMNS)}.")
        try:
            return list(lines)
        except csv.Error as error:
            raise forms.ValidationError(f"Line {lines.line_num}: {error}.") from None

    def save(self):
        """Adds new numbers and changes known ones, all or none. How many of each; or what is wrong, by line."""
        made = changed = 0
        wrong = []
        with transaction.atomic():
            for at, line in enumerate(self.cleaned_data["file"], start=2):
                known = Item.objects.filter(number=(line["number"] or "").strip()).first()
                values = {name: getattr(known, name) for name in COLUMNS} if known else {"state": Item.State.IN_USE}
                values.update({name: value for name, value in line.items() if name in COLUMNS and value})
                form = ItemForm(values, instance=known)
                if form.is_valid():
                    form.save()
                    made, changed = (made, changed + 1) if known else (made + 1, changed)
                else:
                    said = "; ".join(f"{name}: {' '.join(errors)}" for name, errors in form.errors.items())
                    wrong.append(f"Line {at}: {said}")
            if wrong:
                transaction.set_rollback(True)
        return made, changed, wrong
