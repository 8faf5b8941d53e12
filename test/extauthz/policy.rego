package gridway.authz

# What a request is, as external_auth.proto has it.
request := input.attributes.request.http

path := split(trim_prefix(split(request.path, "?")[0], "/"), "/")

default result := {"allowed": false}

# Everybody may see the menu.
result := true if {
	request.method == "GET"
	path == ["menu"]
}

# Waiters may do all else, and are told to the endpoint and to other policies.
result := {
	"allowed": true,
	"headers": {"x-user": user, "x-role": role},
	"request_headers_to_remove": ["authorization"],
	"response_headers_to_add": {"x-decided-by": "opa"},
	"query_parameters_to_set": {"table": "7"},
	"dynamic_metadata": {"sub": user, "role": role, "shifts": [1, 2], "scope": "orders kitchen"},
} if {
	user
	path[0] in {"orders", "kitchen"}
	input.attributes.source.address.socketAddress.address == "127.0.0.1"
	input.attributes.contextExtensions.restaurant == "blue"
}

# Who is nobody is asked who that is.
result := {
	"allowed": false,
	"http_status": 401,
	"headers": {"www-authenticate": "Basic realm=\"kitchen\""},
	"body": "who are you?",
} if {
	path[0] == "orders"
	not user
}

# Calls of gRPC have a method of their own.
result := true if {
	path == ["grpc.health.v1.Health", "Check"]
	request.headers["x-probe"] == "yes"
}

staff := {"ada": "cook", "ben": "waiter"}

user := name if {
	[name, _] := split(base64.decode(trim_prefix(request.headers.authorization, "Basic ")), ":")
	staff[name]
}

role := staff[user]
