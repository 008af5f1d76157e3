"""A file here is a method of `pirig improve`, chosen by `improve=NAME`; it holds `METHOD`, see `improving.door.Method`."""
