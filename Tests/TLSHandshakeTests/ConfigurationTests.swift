import Foundation
import SelfSigned
import StockPeers
import TLSHandshake
import TLSRecords
import Testing

@Suite("A configuration")
struct ConfigurationTests {
    let credentials = Credentials.shared

    private func failure(_ identity: ServerConfiguration.Identity) -> TLSConfigurationError? {
        do {
            _ = try ServerContext(ServerConfiguration(identities: [identity]))
            return nil
        } catch { return error }
    }

    @Test("with a key that belongs to another certificate is refused without quoting either")
    func mismatch() {
        let error = failure(
            .init(
                certificateChain: .text(credentials["p256"].certificatePEM),
                privateKey: .text(credentials["exact"].privateKeyPEM)))
        #expect(error?.code == .keyMismatch)
        #expect(error?.message.contains("BEGIN") == false)
        #expect(error?.message.contains("\n") == false)
    }

    @Test("whose file is missing, unreadable as PEM, or a directory says which and what to do")
    func files() throws {
        let key = PEMSource.text(credentials["p256"].privateKeyPEM)
        let missing = failure(.init(certificateChain: .file("/nonexistent/cert.pem"), privateKey: key))
        #expect(missing?.code == .unreadableFile)
        #expect(
            missing?.message == "cannot read /nonexistent/cert.pem: No such file or directory; "
                + "check the path and its permissions")
        #expect(failure(.init(certificateChain: .file("/"), privateKey: key))?.code == .unreadableFile)
        #expect(failure(.init(certificateChain: .text("no PEM"), privateKey: key))?.code == .badPEM)
        #expect(failure(.init(certificateChain: .text(""), privateKey: key))?.code == .badPEM)
        let chain = credentials["p256"].certificatePEM
        let cut = String(chain.dropLast(chain.count / 2))
        #expect(failure(.init(certificateChain: .text(chain + cut), privateKey: key))?.code == .badPEM)
        let noKey = failure(.init(certificateChain: .text(chain), privateKey: .text(chain)))
        #expect(noKey?.code == .badPEM)
    }

    @Test("reads certificate and key from one file")
    func oneFile() throws {
        let path = NSTemporaryDirectory() + "baton-\(UUID().uuidString).pem"
        let pem = credentials["p256"].certificatePEM + credentials["p256"].privateKeyPEM
        try pem.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(failure(.init(certificateChain: .file(path), privateKey: .file(path))) == nil)
    }

    @Test("with an encrypted key is refused without asking for a passphrase")
    func encryptedKey() throws {
        let files = try TemporaryFiles()
        let plain = try files.write(credentials["p256"].privateKeyPEM, "plain.key")
        let openssl = try PeerProcess(["openssl", "pkey", "-in", plain, "-aes256", "-passout", "pass:secret"])
        try openssl.expect(nil)
        let error = failure(
            .init(certificateChain: .text(credentials["p256"].certificatePEM), privateKey: .text(openssl.text)))
        #expect(error?.code == .encryptedKey)
    }

    @Test(
        "names the suite it does not support",
        arguments: [
            "AES128-SHA", "ECDHE-RSA-AES128-SHA", "RC4-MD5", "TLS_AES_128_CCM_SHA256", "NULL", "@SECLEVEL=0", "",
        ])
    func suites(_ name: String) {
        let error = #expect(throws: TLSConfigurationError.self) {
            try CipherSuite.parse(list: name.isEmpty ? "" : "ECDHE-RSA-AES128-GCM-SHA256:" + name)
        }
        #expect(error?.code == .unsupportedCipherSuite)
        #expect(name.isEmpty || error?.message.contains(name) == true)
    }

    @Test("takes suites by either name and in any case")
    func suiteNames() throws {
        for suite in CipherSuite.allCases {
            #expect(try CipherSuite.parse(list: suite.description) == [suite])
            #expect(try CipherSuite.parse(list: suite.opensslName.lowercased()) == [suite])
        }
        let list = try CipherSuite.parse(
            list: "TLS_AES_128_GCM_SHA256, ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256")
        #expect(list == [.aes128GCM, .ecdheRSAWithAES128GCM])
    }

    @Test("whose parts exclude each other is refused")
    func contradictions() {
        func code(_ options: ProtocolOptions) -> TLSConfigurationError.Code? {
            do {
                _ = try credentials.server(options)
                return nil
            } catch let error as TLSConfigurationError { return error.code } catch { return nil }
        }
        #expect(code(.init(minimumVersion: .tls13, cipherSuites: [.ecdheRSAWithAES128GCM])) == .noUsableVersion)
        #expect(code(.init(minimumVersion: .tls13, maximumVersion: .tls12)) == .noUsableVersion)
        #expect(code(.init(cipherSuites: [])) == .noUsableVersion)
        #expect(code(.init(groups: ["X25519", "no-such-group"])) == .unsupportedGroup)
        #expect(code(.init(applicationProtocols: [""])) == .badApplicationProtocol)
        #expect(code(.init(applicationProtocols: [String(repeating: "x", count: 256)])) == .badApplicationProtocol)
    }

    @Test("of a server without a certificate, and of a client without a name to verify, is refused")
    func nothing() throws {
        #expect(throws: TLSConfigurationError.self) { try ServerContext(ServerConfiguration(identities: [])) }
        let client = try credentials.client()
        for name in ["", "no host\n", "a\0b", String(repeating: "a", count: 300), "grüße.test"] {
            var code: TLSConfigurationError.Code?
            do { _ = try Handshake(client: client, serverName: name) } catch { code = error.code }
            #expect(code == .badServerName, "for '\(name)'")
        }
    }

    @Test("prints no key")
    func printing() {
        let source = PEMSource.text(credentials["p256"].privateKeyPEM)
        #expect(!String(reflecting: source).contains("PRIVATE"))
        var dumped = ""
        dump(credentials.identity("p256"), to: &dumped)
        #expect(!dumped.contains("PRIVATE"))
        #expect(!String(describing: credentials["p256"]).contains("PRIVATE"))
    }
}
