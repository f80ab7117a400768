"""PURE: what a refused TLS certificate is called."""

import ssl

TRUST = "name the file with your CA in SSL_CERT_FILE"


def certificate_fault(error: BaseException) -> str | None:
    """Why a server's certificate is refused, in OpenSSL's words without the host; None if the error is another one."""
    cause: BaseException | None = error
    while cause is not None:
        # aiohttp's own error is of this class, too, and knows no reason.
        if isinstance(cause, ssl.SSLCertVerificationError) and (words := getattr(cause, "verify_message", None)):
            return str(words).partition(",")[0]
        cause = cause.__cause__
    return None
