import Foundation
import StockPeers

/// A root, an intermediate and a device's certificate with names of every kind, made by the `openssl` program.
struct ClientChain {
    let files: TemporaryFiles
    let leaf, intermediate, root: [UInt8]

    init() throws {
        files = try TemporaryFiles()
        let openssl = try PeerProcess(["bash", "-c", Self.script, "bash", files.path("")])
        try openssl.expect(nil)
        guard openssl.status == 0 else { throw WireError("openssl: \(openssl.text)") }
        (leaf, intermediate, root) = (
            try Self.read("leaf", files), try Self.read("inter", files), try Self.read("root", files)
        )
    }

    /// What `openssl s_client` shows a server that asks.
    var arguments: [String] {
        ["-cert", files.path("leaf.pem"), "-key", files.path("leaf.key"), "-cert_chain", files.path("inter.pem")]
    }

    func path(_ name: String) -> String { files.path(name) }

    /// A file with an empty revocation list of the root.
    func revocationList() throws -> String {
        let openssl = try PeerProcess([
            "bash", "-c",
            """
            cd "$1" && touch index.txt && openssl ca -gencrl -crldays 7 -md sha256 -cert root.pem -keyfile root.key -out root.crl \\
                -config <(printf '[ca]\\ndefault_ca=it\\n[it]\\ndatabase=index.txt\\n')
            """, "bash", files.path(""),
        ])
        try openssl.expect(nil)
        guard openssl.status == 0 else { throw WireError("openssl: \(openssl.text)") }
        return files.path("root.crl")
    }

    private static func read(_ name: String, _ files: TemporaryFiles) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: files.path("\(name).der"))))
    }

    private static let script = """
        set -e
        cd "$1"
        key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
        openssl req -x509 $key -keyout root.key -out root.pem -subj /CN=root -days 7
        issue() { # name, issuer, extensions
            openssl req -new $key -keyout $1.key -out $1.csr -subj /CN=$1
            openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 7 -extfile <(echo "$3") -out $1.pem
        }
        issue inter root 'basicConstraints=critical,CA:TRUE'
        issue leaf inter 'subjectAltName=DNS:device.example,IP:192.0.2.7,IP:2001:db8::7,URI:spiffe://example.org/device,email:device@example.org'
        for name in root inter leaf; do openssl x509 -in $name.pem -outform DER -out $name.der; done
        cat leaf.pem inter.pem leaf.key > leaf-and-key.pem
        """
}
