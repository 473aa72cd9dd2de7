"""Other people's Secrets: as credentials, as an authority, as a licence."""

from tests.controller.hostile.case import (
    Case,
    Counts,
    Ends,
    Refused,
    authority,
    client,
    header,
    licensed,
    logs_in,
)

NOT_OURS = Ends("SecretNotCredentials")

CASES = [
    Case("a password of a database", NOT_OURS, header("database")),
    Case(
        "a user and a password of somebody",
        NOT_OURS,
        {"auth": {"basic": {"secretRef": {"name": "login"}}}},
    ),
    Case("the private key of a server", NOT_OURS, header("server", "tls.key")),
    Case("the token of a service account", NOT_OURS, header("account", "token")),
    Case("the password of a registry", NOT_OURS, header("registry", ".dockerconfigjson")),
    Case("a release of Helm", NOT_OURS, header("helm", "release")),
    Case("a password of a database, for a token", NOT_OURS, client("database")),
    Case("a password of somebody, for a login", NOT_OURS, logs_in("login")),
    Case(
        "a password posted to where nobody signs in",
        Refused("none of login"),
        logs_in("client", path="/users/delete"),
    ),
    Case("credentials that are none of a client", Ends("SecretKeyMissing"), client("meter")),
    Case("a licence, sent as a header", NOT_OURS, header("license", "license.jwt")),
    Case("a Secret whose label says no", NOT_OURS, header("label-false")),
    Case("a Secret whose label says True", NOT_OURS, header("label-upper")),
    Case("a Secret with an annotation for a label", NOT_OURS, header("annotated")),
    Case("the key that signs reports", NOT_OURS, header("licenseusage-identity", "private.jwk")),
    Case("the key of the pseudonyms", NOT_OURS, header("licenseusage-pseudonym", "key")),
    Case("the statements of the identity", NOT_OURS, header("licenseusage-identity", "statements")),
    Case("a Secret that is not there", Ends("SecretNotFound"), header("absent")),
    Case("a Secret of another namespace by its name", Ends("SecretNotFound"), header("next-door")),
    Case(
        "a Secret of another namespace by a member that is none",
        Ends("SecretNotFound"),
        {
            "auth": {
                "header": {
                    "secretRef": {"name": "next-door", "key": "token", "namespace": "next-door"}
                }
            }
        },
    ),
    Case("a Secret by a path", Refused("not a Secret's name"), header("../../next-door/secrets/x")),
    Case("a Secret by an escaped path", Refused("not a Secret's name"), header("..%2fnext-door")),
    Case("a Secret's name that is two dots", Refused("not a Secret's name"), header("..")),
    Case("a Secret's name with a query", Refused("not a Secret's name"), header("a?watch=1")),
    Case("a key by a path", Refused("not a key of a Secret"), header("database", "../password")),
    Case("a key that is not there", Ends("SecretKeyMissing"), header("meter", "absent")),
    Case("a value of two lines", Ends("SecretInvalid"), header("meter", "lines")),
    Case("a value that is no text", Ends("SecretInvalid"), header("meter", "bytes")),
    Case("credentials that were made for it", Counts(1), header("meter", "token")),
    Case(
        "credentials with a user's name only",
        Ends("SecretKeyMissing"),
        {"auth": {"basic": {"secretRef": {"name": "meter"}}}},
    ),
    Case(
        "both kinds of credentials",
        Refused("auth needs exactly one of basic, header, oauth2 and login"),
        {
            "auth": {
                "basic": {"secretRef": {"name": "login"}},
                "header": {"secretRef": {"name": "database", "key": "password"}},
            }
        },
    ),
    Case("a password as an authority", Ends("CAInvalid"), authority("database", "password")),
    Case("a private key as an authority", Ends("CAInvalid"), authority("server", "tls.key")),
    Case(
        "the key that signs reports as an authority",
        Ends("CAInvalid"),
        authority("licenseusage-identity", "private.jwk"),
    ),
    Case(
        "the keys of a Secret asked by an authority",
        Ends("SecretKeyMissing"),
        authority("database", "absent"),
    ),
    Case("an authority of a server without TLS", Ends("TLSFailed"), authority("server", "tls.crt")),
    Case(
        "a password as a licence",
        Ends("MalformedToken", "Licensed"),
        spec=licensed("database", "password"),
    ),
    Case(
        "the token of a service account as a licence",
        Ends("UnsupportedAlgorithm", "Licensed"),
        spec=licensed("account", "token"),
    ),
    Case(
        "the key that signs reports as a licence",
        Ends("MalformedToken", "Licensed"),
        spec=licensed("licenseusage-identity", "private.jwk"),
    ),
    Case(
        "the keys of a Secret asked by a licence",
        Ends("LicenseNotFound", "Licensed"),
        spec=licensed("database", "absent"),
    ),
    Case(
        "a licence that is not there",
        Ends("LicenseNotFound", "Licensed"),
        spec=licensed("absent"),
    ),
    Case(
        "a licence signed by oneself, with an endpoint of one's own",
        Ends("KeyUnknown", "Licensed"),
        spec=licensed("self-made"),
    ),
    Case(
        "a licence signed by a key that is not for licences",
        Ends("KeyNotPermitted", "Licensed"),
        spec=licensed("by-receipts"),
    ),
    Case(
        "a licence of another product",
        Ends("LicenseMismatch", "Licensed"),
        spec=licensed("license", product="another"),
    ),
    Case(
        "a licence of a mebibyte",
        Ends("TooLarge", "Licensed"),
        spec=licensed("enormous"),
    ),
    Case(
        "a licence of the vendor whose cycle is replaced",
        Refused("both license and cycle are given"),
        spec=licensed("license", cycle={"anchorDate": "2026-01-01", "lengthDays": 1}),
    ),
    Case(
        "a licence of the vendor whose maximum is replaced",
        Refused("maximumActiveUsers goes with cycle only"),
        spec=licensed("license", maximumActiveUsers=1_000_000),
    ),
]
