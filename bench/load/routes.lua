-- Asks for /r0/x, /r1/x … in an order that jumps, as clients of many routes do:
-- steps of a prime visit every route once before any comes twice.
local n, i, head = 1, 0, ""

function init(args)
	n = tonumber(args[1])
	head = "/x HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port .. "\r\n"
	for name, value in pairs(wrk.headers) do
		if name ~= "Host" then head = head .. name .. ": " .. value .. "\r\n" end
	end
	head = head .. "\r\n"
end

function request()
	i = (i + 7919) % n
	return "GET /r" .. i .. head
end
