"""The program inside the box: standard library only, shipped as text by `bundle`."""
