"""A TLS client that decides how its bytes travel: tls_peer.py ADDRESS PORT NAME HOW

HOW is whole, bytewise (each byte a segment of its own), swap (the second hello, if the server wants one, is for another name), or
ahead (another hello for another name right behind the first, before the server has answered). Says in one line what it came to, and how
often it has sent something until then.
"""

import socket
import ssl
import sys

ACCESS_DENIED = bytes([21, 3, 3, 0, 2, 2, 49])


def other(hello, name):
    """The same hello for a name of the same length, which no rule allows."""
    assert hello.count(name) == 1
    return hello.replace(name, b"x" * len(name))


def rest(connection):
    """Everything until the end, or until nothing more comes."""
    received = b""
    connection.settimeout(2)
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        received += b"(reset)"
    except TimeoutError:
        pass
    return received


def handshake(connection, session, received, sent, name, how):
    for flight in range(1, 4):
        try:
            session.do_handshake()
            connection.sendall(sent.read())
            return "connected", flight
        except ssl.SSLWantReadError:
            pass
        hello = sent.read()
        tricked = (how, flight) in (("ahead", 1), ("swap", 2))
        if tricked:
            hello = (hello if how == "ahead" else b"") + other(hello, name)
        for piece in [bytes([byte]) for byte in hello] if how == "bytewise" else [hello]:
            connection.sendall(piece)
        answer = rest(connection) if tricked else connection.recv(65536)
        if tricked or not answer or answer == ACCESS_DENIED:
            outcome = "denied" if answer.endswith(ACCESS_DENIED) else "answered"
            return outcome if answer else "closed", flight
        received.write(answer)
    return "still shaking hands", flight


def main():
    address, port, name, how = sys.argv[1:]
    connection = socket.create_connection((address, int(port)), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(received, sent, server_hostname=name)
    print(*handshake(connection, session, received, sent, name.encode(), how))


try:
    main()
except (OSError, ssl.SSLError) as error:
    print(type(error).__name__, error)
