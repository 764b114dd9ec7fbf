"""What commands do: each takes a Call and its command, and returns Done or raises Bad, No, Bye or a StoreError.

An action that needs the store is a coroutine and hands its work to the worker threads; the others run at once on the
loop. Untagged responses go out through the Call; the tagged one, and what happened meanwhile, is dispatch's.
"""
