"""The launcher behind `./edgewise`: environment, engines, processes and the commands that use them.

It runs twice for each command. Stage 1 is the system's Python with nothing but its standard library: it makes the
environment and replaces itself by stage 2, the same command in that environment. So no module here imports anything
but the standard library at its head.
"""
