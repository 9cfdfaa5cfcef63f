import BatonConfiguration
import Foundation
import StockPeers
import Testing

/// A client that only listens. A JDK whose key has been used up (`jdk.tls.keyLimits`) sends a KeyUpdate for every record
/// that it reads, until the server's own has come: hundreds in a row, and no data.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct KeyLimitTests {
    private let files: TemporaryFiles

    init() throws { files = try TemporaryFiles() }

    @Test(
        "a JDK downloads all, whatever its key limit, while its connection changes its owner",
        arguments: ["2^16", "2^22"])
    func download(limit: String) throws {
        let size = 32 << 20
        let upstream = try PeerProcess(["python3", "-c", Self.upstreamText, "\(size)"])
        let port = try upstream.number(behind: "PORT ")
        let server = try Server(["--upstream", "127.0.0.1:\(port)"])
        let properties = try files.write(
            "jdk.tls.keyLimits=AES/GCM/NoPadding KeyUpdate \(limit), ChaCha20-Poly1305 KeyUpdate \(limit)\n",
            "java.security")
        let source = try files.write(Self.clientText, "Download.java")
        let client = try PeerProcess([
            "java", "-Djava.security.properties=\(properties)", "-Xshare:auto", source, "\(server.port)", "\(size)",
        ])
        try client.expect("STARTED")
        // As much is under way as goes before the first byte is read.
        try upstream.expect("FULL")
        try client.send("read\n")
        try client.expect("HALF")
        for _ in 0..<2 { try server.upgrade() }
        try client.send("read\n")
        try client.expect(nil)
        try upstream.expect("SHA-256 ")
        let digest = upstream.text.components(separatedBy: "SHA-256 ").last?.prefix(64) ?? "none"
        #expect(client.text.contains("WHOLE \(size) \(digest)"), "\(client.text)\n\(server.logged)")
    }

    private static let upstreamText = """
        import hashlib, os, select, socket, sys
        listener = socket.create_server(('127.0.0.1', 0))
        print('PORT', listener.getsockname()[1], flush=True)
        s, size = listener.accept()[0], int(sys.argv[1])
        block, digest, sent, told = os.urandom(1 << 20), hashlib.sha256(), 0, False
        s.setblocking(False)
        while sent < size:
            # That nothing has moved for a moment is what being full looks like.
            if not select.select([], [s], [], 1)[1]:
                if not told: print('FULL', flush=True)
                told = True
                continue
            start = sent % len(block)
            count = s.send(block[start:start + min(65536, size - sent)])
            digest.update(block[start:start + count])
            sent += count
        print('SHA-256', digest.hexdigest(), flush=True)
        s.recv(1)
        """

    private static let clientText = """
        import java.io.InputStream;
        import java.net.Socket;
        import java.security.MessageDigest;
        import java.security.cert.X509Certificate;
        import java.util.HexFormat;
        import javax.net.ssl.*;

        class Download {
            public static void main(String[] arguments) throws Exception {
                SSLContext context = SSLContext.getInstance("TLSv1.3");
                context.init(null, new TrustManager[] {new TrustAll()}, null);
                SSLSocket socket = (SSLSocket) context.getSocketFactory()
                    .createSocket("127.0.0.1", Integer.parseInt(arguments[0]));
                socket.startHandshake();
                System.out.println("STARTED");
                System.in.read();
                long size = Long.parseLong(arguments[1]), count = 0;
                MessageDigest digest = MessageDigest.getInstance("SHA-256");
                byte[] buffer = new byte[65536];
                InputStream input = socket.getInputStream();
                boolean isHalf = false;
                try {
                    while (count < size) {
                        int got = input.read(buffer);
                        if (got < 0) break;
                        digest.update(buffer, 0, got);
                        count += got;
                        if (!isHalf && count >= size / 2) {
                            isHalf = true;
                            System.out.println("HALF");
                            while (System.in.read() != '\\n') {}
                            System.in.read();
                        }
                    }
                } catch (Exception error) {
                    System.out.println("FAILED " + error);
                }
                System.out.println((count == size ? "WHOLE " : "CUT ") + count + " "
                    + HexFormat.of().formatHex(digest.digest()));
                System.exit(0);
            }

            static class TrustAll extends X509ExtendedTrustManager {
                public void checkClientTrusted(X509Certificate[] chain, String type) {}
                public void checkServerTrusted(X509Certificate[] chain, String type) {}
                public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) {}
                public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) {}
                public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}
                public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}
                public X509Certificate[] getAcceptedIssuers() { return new X509Certificate[0]; }
            }
        }
        """
}
