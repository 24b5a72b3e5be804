"""The nine risks as functions of arrays: no I/O, no messages, no database."""
