"""The client library of CairnFS: the files of a cluster, from Python.

    from cairnfs.client import connect

    with connect("cairn://127.0.0.1:9000,127.0.0.1:9001,127.0.0.1:9002") as fs:
        fs.makedirs("/photos/2024", exist_ok=True)
        fs.put("cat.jpg", "/photos/2024/cat.jpg")             # appears when all of it is safe
        fs.put("holiday", "/photos/holiday", recursive=True)
        fs.pipe_file("/notes.txt", b"small files cost one commit")
        with fs.open("/log.txt", "a") as log:                 # appends of many clients never tear
            log.write("a line\n")
            log.fsync()                                       # durable, and visible to all
        for info in fs.ls("/photos", detail=True):
            print(info["name"], info["size"])
        fs.get("/photos/holiday", "copy", recursive=True)
        fs.rm("/photos/holiday", recursive=True)

The verbs are fsspec's, the errors those of `os`. `FileSystem` (filesystem.py) documents them all, `connect`
(connection.py) who one is, how long anything may take, and how fresh reads are.

How it is put together, from the top down:

    filesystem   verbs            namespace · tree · upload · download · open_file
    file_handle  one open file    write_buffer · content_reader · read_ahead
    blocks       bytes            block_stream → block_writer · replica_reader → block_reader
    session      operations       caller → calls (the seam) → session · outbox · session_link · leader_search
"""

from cairnfs.client.connection import connect

__all__ = ["connect"]
