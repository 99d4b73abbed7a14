"""What a public demo on a Hugging Face Space needs; `make space` puts it together in _build/space, beside the wheel.

app.py            what the Space starts: makes a small simulated run unless there are some, and shows it
requirements.txt  what the wheel needs, at the versions of constraints/tested.txt
README.md         the Space's card
"""
