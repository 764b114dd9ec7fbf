"""The web ground: what webmail and panel stand on, and nothing that only one of them shows.

Law of the room: a Twisted site on sockets that are open already; pages come from Flask applications on a pool of threads
of their own, streams, downloads and uploads are resources of the loop and hold no thread. Every route says who may use it
(`access`), every answer carries the headers of `guard`, every text goes through `pages`. A face is built by
`create_app(parts)` and registered in `site`; faces never import each other.

    access    who may: roles, faces, routes that cannot be registered without one
    guard     host, origin, CSRF, headers, bounds: pure
    session   the visitor of a request: cookie, session, CSRF token
    forms     fields of a form: read, bounded, with their errors
    statics   files under hashed names, compressed once, immutable
    pages     the template environment: texts, dates, icons, error pages
    flow      signing in and out, the second factor, the security page: the same at both faces
    channel   HTTP on the wire: bounds and deadlines before a request exists
    site      dispatch; WSGI beside native resources
    native    the base of native resources: access, downloads, uploads
    streams   server-sent events
    service   the life of the listeners
"""
