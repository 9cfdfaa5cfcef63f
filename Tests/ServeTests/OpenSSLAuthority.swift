import Foundation
import StockPeers

/// A certificate authority run by the `openssl` program, with certificates of every kind, revocation lists and OCSP
/// responses.
final class OpenSSLAuthority {
    struct Issued {
        let certificate: String
        let key: String
    }

    let files: TemporaryFiles
    let certificate: String
    private let key: String
    private var count = 0

    init(_ name: String = "authority") throws {
        files = try TemporaryFiles()
        certificate = files.path("ca.pem")
        key = files.path("ca.key")
        _ = try files.write("", "index.txt")
        _ = try files.write("01\n", "serial")
        _ = try files.write("01\n", "crlnumber")
        _ = try files.write(
            """
            [ca]
            default_ca = this
            [this]
            database = \(files.path("index.txt"))
            serial = \(files.path("serial"))
            crlnumber = \(files.path("crlnumber"))
            new_certs_dir = \(files.path(""))
            certificate = \(files.path("ca.pem"))
            private_key = \(files.path("ca.key"))
            default_md = sha256
            default_days = 30
            default_crl_days = 30
            policy = any
            unique_subject = no
            copy_extensions = copy
            [any]
            commonName = supplied
            [req]
            distinguished_name = any
            """, "ca.cnf")
        try run([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
            "/CN=\(name)", "-keyout", key, "-out", certificate, "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        ])
    }

    func path(_ name: String) -> String { files.path(name) }

    /// - Parameters:
    ///   - key: as `openssl genpkey` has it: `RSA`, `RSA-PSS`, `ED25519`, or a curve.
    ///   - names: as in a subjectAltName, separated by commas.
    ///   - end: the last second it is valid, as YYMMDDHHMMSSZ.
    func issue(
        _ commonName: String, key kind: String = "P-256", names: String? = nil, end: String? = nil,
        extensions: [String] = []
    ) throws -> Issued {
        count += 1
        let issued = Issued(certificate: files.path("\(count).pem"), key: files.path("\(count).key"))
        let options =
            kind.hasPrefix("P-")
            ? ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:\(kind)"]
            : ["-algorithm", kind] + (kind.hasPrefix("RSA") ? ["-pkeyopt", "rsa_keygen_bits:2048"] : [])
        try run(["genpkey", "-out", issued.key] + options)
        let request = files.path("\(count).csr")
        try run(
            ["req", "-new", "-key", issued.key, "-subj", "/CN=\(commonName)", "-out", request]
                + ["-addext", "subjectAltName=\(names ?? "DNS:" + commonName)"]
                + extensions.flatMap { ["-addext", $0] })
        try run(
            ["ca", "-batch", "-config", files.path("ca.cnf"), "-notext", "-in", request, "-out", issued.certificate]
                + (end.map { ["-startdate", "200101000000Z", "-enddate", $0] } ?? []))
        return issued
    }

    func revoke(_ issued: Issued) throws {
        try run(["ca", "-config", files.path("ca.cnf"), "-revoke", issued.certificate])
    }

    /// Writes a list of what is revoked, and puts it in place at once.
    ///
    /// - Parameter seconds: how long it is valid.
    func writeRevocationList(to name: String, seconds: Int = 86_400, isDER: Bool = false) throws {
        let draft = files.path(name + ".draft")
        try run(["ca", "-config", files.path("ca.cnf"), "-gencrl", "-crlsec", "\(seconds)", "-out", draft])
        if isDER { try run(["crl", "-in", draft, "-outform", "DER", "-out", draft]) }
        try put(draft, name)
    }

    /// Writes an OCSP response about a certificate, and puts it in place at once.
    ///
    /// - Parameter isExpired: whether its last day has passed. It is then not signed properly: openssl makes none that has
    ///   expired.
    func writeResponse(about issued: Issued, to name: String, isExpired: Bool = false) throws {
        let draft = files.path(name + ".draft")
        let request = files.path(name + ".request")
        try run(["ocsp", "-issuer", certificate, "-cert", issued.certificate, "-no_nonce", "-reqout", request])
        try run([
            "ocsp", "-index", files.path("index.txt"), "-CA", certificate, "-rsigner", certificate, "-rkey", key,
            "-reqin", request, "-respout", draft, "-ndays", "1",
        ])
        if isExpired {
            var response = Array(try Data(contentsOf: URL(filePath: draft)))
            // The first times are producedAt, thisUpdate and nextUpdate, each a GeneralizedTime of 15 bytes.
            let times = response.indices.dropLast(6).filter { response[$0...].starts(with: [0x18, 15, 0x32, 0x30]) }
            response.replaceSubrange(times[2] + 2..<times[2] + 6, with: Array("2001".utf8))
            try Data(response).write(to: URL(filePath: draft))
        }
        try put(draft, name)
    }

    /// A responder (`openssl ocsp -port`) that knows what has been issued and revoked so far.
    ///
    /// - Parameter port: 0: one of its own.
    /// - Returns: it, and its port.
    func responder(port: Int = 0) throws -> (process: PeerProcess, port: Int) {
        let process = try PeerProcess([
            "openssl", "ocsp", "-port", "\(port)", "-index", files.path("index.txt"), "-CA", certificate, "-rsigner",
            certificate, "-rkey", key, "-ndays", "1",
        ])
        try process.expect("ACCEPT ")
        let words = process.text.components(separatedBy: "ACCEPT ").last?.split(separator: " ").first
        guard let port = words.flatMap({ Int($0.split(separator: ":").last ?? "") }) else {
            throw WireError("openssl ocsp: \(process.text)")
        }
        return (process, port)
    }

    /// Certificate and issuer in one file.
    func chain(_ issued: Issued) throws -> String {
        let text = try String(contentsOfFile: issued.certificate, encoding: .utf8)
        let authority = try String(contentsOfFile: certificate, encoding: .utf8)
        return try files.write(text + authority, (issued.certificate as NSString).lastPathComponent + ".chain")
    }

    func write(_ text: String, _ name: String) throws -> String { try files.write(text, name) }

    private func put(_ draft: String, _ name: String) throws {
        guard rename(draft, files.path(name)) == 0 else { throw WireError("openssl did not write \(name)") }
    }

    private func run(_ arguments: [String]) throws {
        let process = try PeerProcess(["openssl"] + arguments)
        try process.expect(nil)
        guard let out = arguments.firstIndex(where: { ["-out", "-respout", "-reqout"].contains($0) }) else { return }
        guard FileManager.default.fileExists(atPath: arguments[out + 1]) else {
            throw WireError("openssl \(arguments[0]): \(process.text)")
        }
    }
}
