import Foundation
import StockPeers

/// A real Postfix with everything below a folder of its own, which puts all mail for `mx.example` into one Maildir.
final class Postfix {
    private let files: TemporaryFiles
    let process: PeerProcess
    let port: Int

    init(proxyProtocol: Bool) throws {
        files = try TemporaryFiles()
        port = Int(try Wire.freePort())
        let root = String(files.path("").dropLast())
        for folder in ["etc", "queue", "data", "mail"] {
            try FileManager.default.createDirectory(atPath: files.path(folder), withIntermediateDirectories: false)
        }
        // Its parts run as other users.
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: root)
        try FileManager.default.setAttributes([.ownerAccountName: "postfix"], ofItemAtPath: files.path("data"))
        try FileManager.default.setAttributes([.ownerAccountName: "nobody"], ofItemAtPath: files.path("mail"))
        _ = try files.write(
            """
            compatibility_level = 3.6
            queue_directory = \(root)/queue
            data_directory = \(root)/data
            mail_owner = postfix
            inet_interfaces = 127.0.0.1
            inet_protocols = ipv4
            myhostname = mx.example
            mydestination =
            alias_maps =
            maillog_file = /dev/stdout
            smtpd_relay_restrictions = reject_unauth_destination
            smtpd_upstream_proxy_protocol = \(proxyProtocol ? "haproxy" : "")
            virtual_mailbox_domains = mx.example
            virtual_mailbox_base = \(root)/mail
            virtual_mailbox_maps = static:box/
            virtual_uid_maps = static:65534
            virtual_gid_maps = static:65534
            virtual_minimum_uid = 1

            """, "etc/main.cf")
        _ = try files.write(
            """
            127.0.0.1:\(port) inet n - n - - smtpd
            pickup unix n - n 60 1 pickup
            cleanup unix n - n - 0 cleanup
            qmgr unix n - n 300 1 qmgr
            rewrite unix - - n - - trivial-rewrite
            bounce unix - - n - 0 bounce
            defer unix - - n - 0 bounce
            trace unix - - n - 0 bounce
            proxymap unix - - n - - proxymap
            error unix - - n - - error
            retry unix - - n - - error
            virtual unix - n n - - virtual
            anvil unix - - n - 1 anvil
            postlog unix-dgram n - n - 1 postlogd

            """, "etc/master.cf")
        process = try PeerProcess(["postfix", "-c", files.path("etc"), "start-fg"])
        try process.expect("daemon started")
        try Listening.await(port, process)
    }

    /// All mail that has been delivered, one text.
    func mail() throws -> String {
        let folder = files.path("mail/box/new")
        return try FileManager.default.contentsOfDirectory(atPath: folder)
            .map { try String(contentsOfFile: "\(folder)/\($0)", encoding: .utf8) }.joined()
    }
}

/// A real Dovecot for IMAP: every user has the password `secret`, and the same Maildir.
final class Dovecot {
    private let files: TemporaryFiles
    let process: PeerProcess
    let port: Int

    init(proxyProtocol: Bool) throws {
        files = try TemporaryFiles()
        port = Int(try Wire.freePort())
        let root = String(files.path("").dropLast())
        for folder in ["run", "mail"] {
            try FileManager.default.createDirectory(atPath: files.path(folder), withIntermediateDirectories: false)
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: root)
        try FileManager.default.setAttributes([.ownerAccountName: "nobody"], ofItemAtPath: files.path("mail"))
        let path = try files.write(
            """
            protocols = imap
            base_dir = \(root)/run
            state_dir = \(root)/run
            log_path = /dev/stderr
            ssl = no
            disable_plaintext_auth = no
            listen = 127.0.0.1
            mail_location = maildir:\(root)/mail
            first_valid_uid = 1
            haproxy_trusted_networks = 127.0.0.0/8
            passdb {
              driver = static
              args = password=secret
            }
            userdb {
              driver = static
              args = uid=65534 gid=65534 home=\(root)/mail
            }
            service imap-login {
              chroot =
              inet_listener imap {
                port = \(port)
                haproxy = \(proxyProtocol ? "yes" : "no")
              }
              inet_listener imaps {
                port = 0
              }
            }

            """, "dovecot.conf")
        process = try PeerProcess(["dovecot", "-F", "-c", path])
        try Listening.await(port, process)
    }
}
