-- Asks for one path as one caller after the other, in an order that jumps.
local n, i, head = 1, 0, ""

function init(args)
	n = tonumber(args[1])
	head = "GET " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port .. "\r\n"
	for name, value in pairs(wrk.headers) do
		if name ~= "Host" then head = head .. name .. ": " .. value .. "\r\n" end
	end
	head = head .. "X-API-Key: bench-key-of-caller-"
end

function request()
	i = (i + 7919) % n
	return head .. string.format("%08d", i) .. "-in-32-more-bytes\r\n\r\n"
end
