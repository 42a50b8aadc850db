"""Clients of S3 and DynamoDB, and of what speaks their protocols: where they are, and what their
errors mean here.

Credentials and region come from where boto3 looks for them: the environment, ~/.aws, a role. A
call's time-outs are short and its retries few, since whoever publishes tries again by itself.

An endpoint may be anybody's: of an answer that is parsed no more than `MOST_BYTES` are read, and no
call is waited for longer than `CALL_S`, wherever in HTTP it drips.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from zk_autograd.core.errors import AnchorDown, AnchorError, UsageError
from zk_autograd.core.text import quoted

CONNECT_S = 5
READ_S = 20
ATTEMPTS = 3
CALL_S = 90.0
"""Seconds for a call, its retries included."""
MOST_BYTES = 2**23
"""A page has 1000 keys of S3, or 1 MB of DynamoDB's items in base64."""
MOST_HANGING = 8
MOST_PAGES = 2**12
T = TypeVar("T")

_hanging: list[threading.Thread] = []
"""Calls that were given up, and have not ended."""

_TEMPORARY = frozenset(
    {
        "InternalError",
        "InternalServerError",
        "LimitExceededException",
        "OperationAborted",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "TransactionConflictException",
    }
)
"""Codes that name a state of the service, whatever HTTP status comes with them."""
_SKEWED = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture", "RequestExpired"})
_ADVICE = {
    "NoSuchBucket": "make the bucket first",
    "ResourceNotFoundException": "make the table first",
    "InvalidAccessKeyId": "check the credentials",
    "SignatureDoesNotMatch": "check the credentials",
    "UnrecognizedClientException": "check the credentials",
    "ExpiredToken": "get new credentials",
    "ExpiredTokenException": "get new credentials",
    "AccessDenied": "check what the credentials are allowed to do",
    "AccessDeniedException": "check what the credentials are allowed to do",
}


class Refused(AnchorError):
    """The service understood the call and refuses it: `code` is its name for the reason, `status`
    the answer's HTTP status."""

    def __init__(self, message: str, code: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def split_endpoint(rest: str, kind: str) -> tuple[str, str]:
    """Name and endpoint of NAME[@ENDPOINT], "" for AWS's own. UsageError for an endpoint that is no
    plain http or https URL: one with a password in it, say."""
    name, at, endpoint = rest.partition("@")
    if not at:
        return name, ""
    try:
        parts = urlsplit(endpoint)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
        raise UsageError(
            f"the endpoint of the anchor {kind} has to be a plain URL, as in {kind}:NAME@https://host:port; "
            "credentials come from the environment or ~/.aws"
        )
    return name, endpoint


def client(service: str, endpoint: str, read_s: float = READ_S, attempts: int = ATTEMPTS) -> Any:
    """boto3's client of "s3" or "dynamodb", which waits `read_s` seconds for an answer and makes
    `attempts` calls of one. UsageError without boto3, AnchorError for a configuration that boto3
    refuses."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise UsageError("this anchor needs boto3: pip install 'zk-autograd[aws]'") from error
    # At DEBUG it would log every request with its credentials' token.
    for name in ("boto3", "botocore", "s3transfer", "urllib3"):
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLogger(name).level))
    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=read_s,
        retries={"mode": "standard", "total_max_attempts": attempts},
        signature_version="s3v4" if service == "s3" else None,
        s3={"addressing_style": "path"} if endpoint else None,
    )

    def make() -> Any:
        session = boto3.session.Session()
        # An endpoint of one's own has no regions, and a signature must name one.
        region = session.region_name or ("us-east-1" if endpoint else None)
        made = session.client(service, region_name=region, endpoint_url=endpoint or None, config=config)
        made.meta.events.register("before-send", _bounded(made))
        return made

    return call(f"the {service} client", make)


def _bounded(client: Any) -> Callable[..., Any]:
    """Sends a request in botocore's place (its event before-send), by its own session, and answers
    with a response that isn't read without bounds."""
    from botocore.awsrequest import AWSResponse

    class Bounded(AWSResponse):  # type: ignore[misc]
        _content: bytes | None

        @property
        def content(self) -> bytes:
            if self._content is None:
                self._content = _read(self.raw)
            return self._content

    def send(request: Any, **_: Any) -> Any:
        streamed, request.stream_output = request.stream_output, True  # else all of it is read at once
        answer = client._endpoint.http_session.send(request)
        bounded = Bounded(answer.url, answer.status_code, answer.headers, answer.raw)
        if not streamed:
            len(bounded.content)  # which gives the connection back, even if nobody looks at it
        return bounded

    return send


def _read(raw: Any) -> bytes:
    """The body of urllib3's response."""
    pieces: list[bytes] = []
    size, end = 0, time.monotonic() + CALL_S
    try:
        for piece in raw.stream(2**14):
            size += len(piece)
            if size > MOST_BYTES or time.monotonic() > end:
                raise AnchorDown(f"an answer has more than {MOST_BYTES} bytes, or takes more than {CALL_S:g} seconds")
            pieces.append(piece)
    except BaseException:
        raw.close()
        raise
    return b"".join(pieces)


def _in_time(where: str, method: Callable[..., T], arguments: Mapping[str, Any]) -> T:
    """The method's result, or what it raises; AnchorDown after `CALL_S`. Then the thread that waits
    is left alone, for nothing else can end it."""
    _hanging[:] = [thread for thread in _hanging if thread.is_alive()]
    if len(_hanging) >= MOST_HANGING:
        raise AnchorDown(f"{where} isn't asked: this process still waits for answers that it gave up")
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(method(**arguments))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(CALL_S)
    if errors:
        raise errors.pop()  # a list that kept it would be a cycle, with the socket in it
    if not results:
        _hanging.append(thread)
        raise AnchorDown(f"{where} took longer than {CALL_S:g} seconds")
    return results[0]


def call(where: str, method: Callable[..., T], **arguments: Any) -> T:
    """The method's result. Refused, AnchorDown or AnchorError in place of whatever it raises."""
    from botocore import exceptions as known

    try:
        return _in_time(where, method, arguments)
    except AnchorError:
        raise
    except known.ClientError as error:
        raise _answered(where, error.response) from error
    except (known.ConfigParseError, known.InvalidConfigError) as error:
        raise AnchorError(f"{where} can't be made: ~/.aws/config or AWS_CONFIG_FILE isn't in its form") from error
    except (
        known.NoCredentialsError,
        known.PartialCredentialsError,
        known.ProfileNotFound,
        known.CredentialRetrievalError,
        known.TokenRetrievalError,
        known.SSOError,
    ) as error:
        raise AnchorError(
            f"{where} needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        ) from error
    except (known.NoRegionError, known.InvalidRegionError) as error:
        raise AnchorError(f"{where} needs a region: set AWS_DEFAULT_REGION") from error
    except known.SSLError as error:
        raise AnchorError(f"{where} has no certificate that this machine trusts") from error
    except (known.ParamValidationError, known.ValidationError) as error:
        raise AnchorError(f"{where} can't be asked so: {quoted(str(error), 200)}") from error
    except (known.ConnectTimeoutError, known.ReadTimeoutError) as error:
        raise AnchorDown(f"{where} didn't answer in time") from error
    except (known.HTTPClientError, known.ConnectionError) as error:
        raise AnchorDown(f"{where} can't be reached") from error
    # What half an answer makes of the library's parsers: no list of classes holds it.
    except Exception as error:
        raise AnchorDown(f"{where} gave an answer that can't be read: {type(error).__name__}") from error


def field(where: str, answer: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """A field of an answer. AnchorDown if it isn't there, or is of another type."""
    value = answer.get(name)
    if not isinstance(value, kind):
        raise AnchorDown(f"{where} gave half an answer: it has no {name}")
    return value


def _answered(where: str, response: Mapping[str, Any]) -> AnchorError:
    error = response.get("Error")
    error = error if isinstance(error, dict) else {}
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    status = status if isinstance(status, int) else 0
    if code in _SKEWED:
        return AnchorDown(f"{where} finds this machine's clock wrong ({quoted(code)}): set it")
    if code in _TEMPORARY or status in (408, 429) or status >= 500 or status < 400:
        return AnchorDown(f"{where} is overloaded or broken: {quoted(code)}, status {status}")
    advice = _ADVICE.get(code, "")
    said = f"{quoted(code)} {quoted(message, 120)}, status {status}"
    return Refused(f"{where} refuses: {said}" + (f"; {advice}" if advice else ""), code, status)
