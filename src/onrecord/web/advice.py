"""What to do about each refusal: a sentence or two for whoever follows an error's link."""

from collections.abc import Mapping
from typing import Final

ADVICE: Final[Mapping[str, str]] = {
    "RB001": "Send one JSON object, or the form asked for, in UTF-8, whole, and within a minute.",
    "RB002": "`errors` names the field or parameter; add it.",
    "RB003": "`errors` names the field or parameter and what it must be.",
    "RB010": "Make a new member on the other side instead.",
    "RB011": "Put another active member of staff into the group first.",
    "RB012": "Take its members out first.",
    "RB013": "An identifier is one member's or group's alone; find who has it, or choose another.",
    "RB014": "Find the member with this email instead of making another.",
    "RB015": "Take somebody out, or start another chat.",
    "RB016": "`detail` says what is wrong with the file; the call says what it takes.",
    "RB017": "`reply_to_seq` must be the number of a message of the same chat.",
    "RB018": "Make somebody else a system administrator first.",
    "RB019": "`detail` says which state it is in; read the object again.",
    "RB020": "Put an active member of staff into the group first; pending staff do not count.",
    "RB021": "Leave clients and partners out, or start a chat that is not for staff alone.",
    "RB022": "Choose a new `Idempotency-Key` for each new request; 24 hours are remembered.",
    "RB023": "Wait a moment and send the same request again; it will be answered alike.",
    "RB024": "`detail` says how much is taken.",
    "RB025": "Ask for a range within the file.",
    "RB026": "Send `application/json`, or `multipart/form-data` with a file; never compressed.",
    "RB027": "Read the object again, and decide anew.",
    "RB035": "Name a person; the Butler does not act.",
    "RB785": "Name the member or group in one of these two ways.",
    "RU001": "Check id and secret, and that they stand in the headers of the key's kind; or user"
    " name and password, or the code. Which of the two is wrong is not told.",
    "RU002": "A deactivated key never works again; use another one.",
    "RU003": "Send the two headers of a key, [which depend on its kind](permissions). A session's"
    " cookie is not enough for a POST: it needs `X-CSRF-Token` as well, which `GET session` gives.",
    "RU004": "Call from an allowed address, or have the operator make a key for this one. Behind a"
    " proxy, the operator must name it as trusted. `whoami` tells the address that was seen.",
    "RU010": "Sign in again, have a new token made, or ask for another code or link.",
    "RU029": "Wait for as many seconds as `Retry-After` says. `RateLimit` tells what is left.",
    "RF001": "Only active participants write. Who has left still reads up to the moment of leaving;"
    " to write again the member must be added again.",
    "RF002": "Have a member of staff who is in the chat do it.",
    "RF003": "Clients are reached through a common group, staff through being colleagues.",
    "RF004": "A master-user key names the member in `on-behalf-of`, a session its membership in"
    " `X-Entity-User-Xref-Uuid`; a user key acts for its owner alone.",
    "RF005": "What the Butler says is read, not answered or changed.",
    "RF006": "`detail` says which role is needed.",
    "RF007": "The firm keeps these people apart. A system key with `can_write_admin` lifts it"
    " ([POST barriers/destroy](endpoints#post-entity-servicesys-apibarriersdestroy)).",
    "RF008": "Use a key of another kind; the call's description says which.",
    "RF024": "The member is pending, inactive or gone. Activate the member, or choose another.",
    "RF731": "Have the permission added to the key, by somebody or a key that may hand it out.",
    "RF732": "Have the permission added to the key, by somebody or a key that may hand it out.",
    "RF733": "Have the permission added to the key, by somebody or a key that may hand it out.",
    "RF734": "Have the permission added to the key, by somebody or a key that may hand it out.",
    "RF735": "Have the permission added to the key, by somebody or a key that may hand it out.",
    "RF736": "Add the header, with the UUID of the organisation.",
    "RF741": "Have the permission added to the key, by somebody or a key that may hand it out.",
    "RF742": "Have the permission added to the key, by somebody or a key that may hand it out.",
    "RF743": "Have the permission added to the key, by somebody or a key that may hand it out.",
    "RF841": "Leave the header out: any other key acts in its own organisation.",
    "RF888": "The organisation can switch it on in its settings.",
    "RN001": "Or the acting member was never in it: then it is not there for them.",
    "RN002": "Check the UUID or identifier; groups of other organisations are not seen.",
    "RN003": "The chat has no message of this number.",
    "RN004": "Or it is not for the caller.",
    "RN005": "Check the spelling and the method; [all calls](endpoints) are listed.",
    "RN006": "Check the UUID or identifier; members of other organisations are not seen.",
    "RN007": "Check the UUID in `on-behalf-of-entity-uuid`.",
    "RN008": "Check the number or UUID asked for.",
    "RN900": "The operator has switched it off. Nothing works until it is active again.",
    "RN902": "System keys and sessions of system administrators may read; everything else waits"
    " until the operator unfreezes it.",
    "RX500": "Tell the operator the `instance`: the log has the reason under that id.",
    "RX503": "Wait for as many seconds as `Retry-After` says. With an `Idempotency-Key` a retry"
    " never does twice what was done once.",
}
"""By code of the catalogue; a test sees that each has its sentence."""
