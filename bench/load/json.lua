-- Posts one and the same document.
function init(args)
	wrk.method = "POST"
	wrk.body = args[1]
	wrk.headers["Content-Type"] = "application/json"
end
