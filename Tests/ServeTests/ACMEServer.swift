import StockPeers

/// An ACME server in Python, just enough for clients to be issued certificates by HTTP-01. Debian has none; the clients are the
/// real ones.
enum ACMEServer {
    /// - Parameter port: where it expects the answers to its challenges, on 127.0.0.1, whatever the name is.
    /// - Returns: it, and the URL of its directory.
    static func start(validatingAt port: Int) throws -> (process: PeerProcess, directory: String) {
        // The Python of the Debian packages of certbot, which has what this needs.
        let process = try PeerProcess(["/usr/bin/python3", "-c", text, "\(port)"])
        return (process, "http://127.0.0.1:\(try process.number(behind: "PORT "))/dir")
    }

    private static let text = #"""
        # An ACME server (RFC 8555) that is just enough for a client to be issued certificates by HTTP-01.
        # It validates for real, at 127.0.0.1 and the port given, and trusts its clients' signatures: it is the clients that are tested.
        import base64, datetime, hashlib, http.client, http.server, json, sys
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        http_port = int(sys.argv[1])
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ACME test CA")])
        now = datetime.datetime.utcnow()
        def builder(subject, public):
            return (x509.CertificateBuilder().subject_name(subject).issuer_name(name).public_key(public)
                    .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(1))
                    .not_valid_after(now + datetime.timedelta(80)))
        ca = (builder(name, key.public_key()).add_extension(x509.BasicConstraints(True, None), True)
              .sign(key, hashes.SHA256()))
        encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
        decode = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        accounts, orders = [], []

        def thumbprint(jwk):
            fields = {"RSA": ["e", "kty", "n"], "EC": ["crv", "kty", "x", "y"]}[jwk["kty"]]
            text = json.dumps({field: jwk[field] for field in fields}, separators=(",", ":"), sort_keys=True)
            return encode(hashlib.sha256(text.encode()).digest())

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def log_message(self, *rest): pass
            def answer(self, body, status=200, **headers):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for field, value in {"Replay-Nonce": encode(hashlib.sha256(str(id(data)).encode()).digest()), "Content-Length": len(data),
                                     "Content-Type": "application/json", "Cache-Control": "no-store", **headers}.items():
                    self.send_header(field.replace("_", "-"), str(value))
                self.end_headers()
                if self.command != "HEAD": self.wfile.write(data)
            def url(self, *parts): return "http://%s/%s" % (self.headers["Host"], "/".join(map(str, parts)))
            def do_HEAD(self): self.answer(b"")
            def do_GET(self):
                if self.path != "/dir": return self.answer(b"", 204)
                self.answer({name: self.url(name) for name in ["newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"]})
            def order(self, number):
                order = orders[number]
                answer = {"status": order["status"], "identifiers": [{"type": "dns", "value": order["name"]}],
                          "authorizations": [self.url("authz", number)], "finalize": self.url("finalize", number)}
                if order["status"] == "valid": answer["certificate"] = self.url("cert", number)
                return answer
            def challenge(self, number):
                return {"type": "http-01", "url": self.url("challenge", number), "token": orders[number]["token"],
                        "status": orders[number]["proof"]}
            def do_POST(self):
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                protected = json.loads(decode(message["protected"]))
                payload = json.loads(decode(message["payload"]) or b"{}")
                what, *rest = self.path.strip("/").split("/")
                number = int(rest[0]) if rest else 0
                if what == "newAccount":
                    if protected["jwk"] not in accounts: accounts.append(protected["jwk"])
                    self.answer({"status": "valid", "contact": []}, 201, Location=self.url("account", accounts.index(protected["jwk"])))
                elif what == "account": self.answer({"status": "valid", "contact": []})
                elif what == "newOrder":
                    account = int(protected["kid"].split("/")[-1])
                    orders.append({"name": payload["identifiers"][0]["value"], "status": "pending", "proof": "pending", "account": account,
                                   "token": encode(hashlib.sha256(b"token%d" % len(orders)).digest())})
                    self.answer(self.order(len(orders) - 1), 201, Location=self.url("order", len(orders) - 1))
                elif what == "order": self.answer(self.order(number), Location=self.url("order", number))
                elif what == "authz":
                    self.answer({"status": orders[number]["proof"], "identifier": {"type": "dns", "value": orders[number]["name"]},
                                 "challenges": [self.challenge(number)]})
                elif what == "challenge":
                    order = orders[number]
                    ask = http.client.HTTPConnection("127.0.0.1", http_port, timeout=10)
                    ask.request("GET", "/.well-known/acme-challenge/" + order["token"], headers={"Host": order["name"]})
                    wanted = order["token"] + "." + thumbprint(accounts[order["account"]])
                    shown = ask.getresponse().read().decode().strip()
                    order["proof"] = "valid" if shown == wanted else "invalid"
                    order["status"] = "ready" if shown == wanted else "invalid"
                    self.answer(self.challenge(number), Link='<%s>;rel="up"' % self.url("authz", number))
                elif what == "finalize":
                    request = x509.load_der_x509_csr(decode(payload["csr"]))
                    names = x509.SubjectAlternativeName([x509.DNSName(orders[number]["name"])])
                    issued = builder(x509.Name([]), request.public_key()).add_extension(names, True).sign(key, hashes.SHA256())
                    orders[number]["chain"] = b"".join(part.public_bytes(serialization.Encoding.PEM) for part in (issued, ca))
                    orders[number]["status"] = "valid"
                    print("ISSUED %X" % issued.serial_number, flush=True)
                    self.answer(self.order(number), Location=self.url("order", number))
                elif what == "cert": self.answer(orders[number]["chain"], Content_Type="application/pem-certificate-chain")
                else: self.answer({"type": "urn:ietf:params:acme:error:malformed", "detail": self.path}, 400)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        print("PORT", server.server_address[1], flush=True)
        server.serve_forever()
        """#
}
