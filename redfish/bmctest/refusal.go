package bmctest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
)

// standard are refusals in the words of the Redfish Base registry (DSP8011).
// A personality has words of its own for some of them. Messages that name no
// registry are of the personality's standard one.
func standard(key string) (refuse, bool) {
	r, ok := map[string]refuse{
		"unauthorized":          {401, "NoValidSession", "There is no valid session established with the implementation."},
		"locked":                {401, "AccountForSessionNoLongerExists", "The account is locked: too many wrong passwords."},
		"password-change":       {403, "PasswordChangeRequired", "The password provided for this account must be changed before access is granted. PATCH the Password property at %s."},
		"password-format":       {400, "PropertyValueFormatError", "The value for the property Password is of a length that the account service does not accept."},
		"privilege":             {403, "InsufficientPrivilege", "There are insufficient privileges to perform the operation."},
		"sessions":              {503, "SessionLimitExceeded", "The session establishment failed due to the number of simultaneous sessions exceeding the limit of the implementation."},
		"busy":                  {503, "ServiceTemporarilyUnavailable", "The service is temporarily unavailable. Retry in 1 seconds."},
		"absent":                {404, "ResourceMissingAtURI", "The resource at the URI %s was not found."},
		"method":                {405, "OperationNotAllowed", "The HTTP method %s is not allowed on this resource."},
		"encoding":              {406, "NotAcceptable", "The service cannot send this resource in the encoding asked for."},
		"precondition-failed":   {412, "PreconditionFailed", "The ETag supplied did not match the ETag required to change this resource."},
		"precondition-required": {428, "PreconditionRequired", "An ETag is required to change this resource."},
		"unknown":               {400, "PropertyUnknown", "The property %s is not in the list of valid properties for the resource."},
		"readonly":              {400, "PropertyNotWritable", "The property %s is a read only property and cannot be assigned a value."},
		"missing":               {400, "ActionParameterMissing", "The action requires that the parameter %s be present in the request body."},
		"property-missing":      {400, "PropertyMissing", "The property %s is a required property and must be included in the request."},
		"value":                 {400, "ActionParameterValueNotInList", "The value for the parameter %s is not in the list of acceptable values."},
		"property-value":        {400, "PropertyValueNotInList", "The value for the property %s is not in the list of acceptable values."},
		"body":                  {415, "UnrecognizedRequestBody", "The service needs a JSON request body, even an empty one."},
		"url":                   {400, "ActionParameterValueFormatError", "The image URL is not valid."},
		"scheme":                {400, "ActionParameterValueFormatError", "The image URL has a protocol that is not supported."},
		"long":                  {400, "ActionParameterValueFormatError", "The image URL is too long."},
		"query":                 {400, "ActionParameterValueFormatError", "The image URL has characters that are not allowed."},
		"name":                  {400, "ActionParameterValueFormatError", "The host name of the image URL cannot be resolved."},
		"suffix":                {400, "ActionParameterValueFormatError", "The image URL does not name an ISO image."},
		"folder":                {400, "ActionParameterValueFormatError", "The image must lie in a shared folder."},
		"occupied":              {409, "ResourceInUse", "The virtual media slot has a medium already; eject it first."},
		"single":                {409, "ResourceInUse", "Another virtual medium is connected."},
		"stale":                 {503, "ServiceTemporarilyUnavailable", "The virtual media service is still busy with the medium before."},
		"empty":                 {409, "ResourceCannotBeDeleted", "There is no medium in this slot."},
		"unreachable":           {400, "ResourceAtUriUnauthorized", "The image at %s could not be opened."},
		"slot":                  {400, "GeneralError", "This virtual drive cannot take an image by URL."},
		"licence":               {403, "InsufficientPrivilege", "This feature needs a licence that is not installed."},
		"service":               {400, "ServiceDisabled", "The remote media service is disabled."},
		"post":                  {400, "ServiceInUnknownState", "The system is in its self test; try again later."},
		"state":                 {409, "ActionNotSupported", "The reset is not possible in the present power state."},
		"moving":                {409, "ResourceInUse", "A power change is going on."},
	}[key]
	return r, ok
}

// words is the personality's refusal for a key.
func (p Personality) words(key string) refuse {
	std, known := standard(key)
	own, has := p.Words[key]
	if !known && !has {
		panic("no words for refusal " + key)
	}
	if own.Status == 0 {
		own.Status = std.Status
	}
	if own.Message == "" {
		own.Message = std.Message
	}
	if own.Text == "" {
		own.Text = std.Text
	}
	if !strings.Contains(own.Message, ".") {
		own.Message = p.HTTP.Registry + "." + own.Message
	}
	return own
}

// refuse makes the answer of a refusal; about fills its text in.
func (e *Emulator) refuse(key string, about ...string) answer {
	r := e.rules.words(key)
	return answer{status: r.Status, body: errorBody(r, about...)}
}

// errorBody is the standard form of an error (DSP0266 §8.6).
func errorBody(r refuse, about ...string) object {
	text := r.Text
	if strings.Contains(text, "%s") && len(about) > 0 {
		text = fmt.Sprintf(text, about[0])
	}
	info := object{
		"@odata.type": "#Message.v1_1_1.Message", "MessageId": r.Message, "Message": text,
		"MessageSeverity": "Critical", "Severity": "Critical", "MessageArgs": args(about),
		"Resolution": "See the message.",
	}
	if len(about) > 0 {
		info["RelatedProperties"] = []string{"#/" + about[0]}
	}
	return object{"error": object{"code": r.Message, "message": text, "@Message.ExtendedInfo": []object{info}}}
}

func args(about []string) []string {
	if about == nil {
		return []string{}
	}
	return about
}

func (e *Emulator) done(status int) answer {
	if status == http.StatusNoContent {
		return answer{status: status}
	}
	return answer{status: status, body: object{"@Message.ExtendedInfo": []object{{
		"@odata.type": "#Message.v1_1_1.Message", "MessageId": e.rules.HTTP.Registry + ".Success",
		"Message": "The request completed successfully.", "Severity": "OK", "MessageArgs": []string{}, "Resolution": "None",
	}}}}
}

// etag marks a body as the personality does. encoding is what the client takes.
func (h httpRules) etag(body []byte, encoding string) string {
	sum := sha256.Sum256(body)
	tag := hex.EncodeToString(sum[:8])
	switch h.ETag {
	case "strong":
		return `"` + tag + `"`
	case "weak":
		return `W/"` + tag + `"`
	case "gzip":
		if strings.Contains(encoding, "gzip") {
			return `"` + tag + `-gzip"`
		}
		return `"` + tag + `"`
	}
	return ""
}
