"""The pocket student: a small Llama made from scratch, whose one skill is the tool-caller's."""
