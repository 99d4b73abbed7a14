"""One module a kind of file that others wrote: the only places where a library opens one."""
