// The HTTP client against servers that answer, dawdle, lie about who they are, or say too much.
#include "gateway/http_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <thread>

#include "support/temporary_directory.hpp"

namespace millrace::gateway {
namespace {

using boost::asio::ip::tcp;
using ::testing::HasSubstr;

// Answers one connection with a fixed text, and keeps what it was asked.
class OneAnswer {
public:
    explicit OneAnswer(std::string answer)
        : acceptor_(context_, {boost::asio::ip::address_v4::loopback(), 0}) {
        thread_ = std::thread([this, answer = std::move(answer)] {
            tcp::socket socket = acceptor_.accept();
            boost::system::error_code ignored;
            boost::asio::read_until(socket, boost::asio::dynamic_buffer(asked), "\r\n\r\n",
                                    ignored);
            boost::asio::write(socket, boost::asio::buffer(answer), ignored);
            // Until the client has gone.
            char byte = 0;
            while (!ignored) socket.read_some(boost::asio::buffer(&byte, 1), ignored);
        });
    }
    ~OneAnswer() { join(); }
    void join() {
        if (thread_.joinable()) thread_.join();
    }
    std::string url(const std::string& path = "/hook") const {
        return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) + path;
    }

    std::string asked;

private:
    boost::asio::io_context context_;
    tcp::acceptor acceptor_;
    std::thread thread_;
};

engine::HttpAnswer call(engine::HttpCall request) {
    AsioRuntime runtime;
    HttpClient client(runtime);
    engine::HttpAnswer received;
    bool is_inside = true;
    client.call(std::move(request), [&](engine::HttpAnswer answer) {
        EXPECT_FALSE(is_inside);
        received = std::move(answer);
        runtime.stop();
    });
    is_inside = false;
    runtime.run();
    return received;
}

engine::HttpCall post(std::string url) {
    engine::HttpCall request;
    request.method = "POST";
    request.url = std::move(url);
    request.headers = {
        {"Content-Type", "application/json"}, {"Idempotency-Key", "k1"}, {"Host", "evil.example"}};
    request.body = "{\"a\":1}";
    return request;
}

TEST(HttpClient, sends_what_it_was_given_and_hands_the_answer_back) {
    OneAnswer server("HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\ndone");
    const auto answer = call(post(server.url("/hook?x=1")));
    EXPECT_EQ(answer.status, 201);
    EXPECT_EQ(answer.body, "done");
    server.join();
    EXPECT_THAT(server.asked, ::testing::StartsWith("POST /hook?x=1 HTTP/1.1\r\n"));
    EXPECT_THAT(server.asked, HasSubstr("Idempotency-Key: k1\r\n"));
    EXPECT_THAT(server.asked, HasSubstr("Content-Length: 7\r\n"));
    EXPECT_THAT(server.asked, HasSubstr("Host: 127.0.0.1:"));
    EXPECT_THAT(server.asked, ::testing::Not(HasSubstr("evil.example")));
}

TEST(HttpClient, reads_when_to_come_back) {
    OneAnswer server(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(call(post(server.url())).retry_after, milliseconds(7'000));
}

TEST(HttpClient, does_not_follow_redirects) {
    OneAnswer server(
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(call(post(server.url())).status, 302);
}

TEST(HttpClient, cuts_a_body_that_is_longer_than_wanted) {
    OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" +
                     std::string(100'000, 'x'));
    auto request = post(server.url());
    request.max_response_bytes = 1'000;
    const auto answer = call(std::move(request));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, std::string(1'000, 'x'));
}

TEST(HttpClient, does_not_wait_longer_than_the_timeout) {
    OneAnswer server("");
    auto request = post(server.url());
    request.timeout = milliseconds(100);
    const auto answer = call(std::move(request));
    EXPECT_EQ(answer.status, 0);
    EXPECT_THAT(answer.body, HasSubstr("no answer within 100 ms"));
}

TEST(HttpClient, says_what_went_wrong) {
    EXPECT_THAT(call(post("http://127.0.0.1:1/")).body, HasSubstr("refused"));
    EXPECT_THAT(call(post("ftp://127.0.0.1/")).body, HasSubstr("only http and https"));
    auto split = post("http://127.0.0.1:1/");
    split.headers.emplace_back("X", "a\r\nY: b");
    EXPECT_THAT(call(split).body, HasSubstr("'X'"));
}

TEST(HttpClient, takes_calls_beyond_its_connections_in_turn) {
    AsioRuntime runtime;
    HttpClient client(runtime);
    const int calls = static_cast<int>(HttpLimits().max_calls) * 3;
    int answered = 0;
    for (int i = 0; i < calls; ++i) {
        client.call(post("http://127.0.0.1:1/"), [&](engine::HttpAnswer) {
            if (++answered == calls) runtime.stop();
        });
    }
    runtime.run();
    EXPECT_EQ(answered, calls);
}

// A self-signed certificate for localhost, in files.
struct Certificate {
    Certificate() {
        EVP_PKEY* pkey = EVP_RSA_gen(2048);
        X509* x509 = X509_new();
        X509_set_version(x509, 2);
        X509_gmtime_adj(X509_getm_notBefore(x509), -60);
        X509_gmtime_adj(X509_getm_notAfter(x509), 3'600);
        X509_set_pubkey(x509, pkey);
        X509_NAME* subject = X509_get_subject_name(x509);
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
        X509_set_issuer_name(x509, subject);
        X509_EXTENSION* names =
            X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost");
        X509_add_ext(x509, names, -1);
        X509_EXTENSION_free(names);
        X509_sign(x509, pkey, EVP_sha256());
        std::FILE* file = std::fopen(certificate.c_str(), "w");
        PEM_write_X509(file, x509);
        std::fclose(file);
        file = std::fopen(key.c_str(), "w");
        PEM_write_PrivateKey(file, pkey, nullptr, nullptr, 0, nullptr, nullptr);
        std::fclose(file);
        X509_free(x509);
        EVP_PKEY_free(pkey);
    }
    testing::TemporaryDirectory directory;
    const std::string certificate = directory.path() + "/certificate.pem";
    const std::string key = directory.path() + "/key.pem";
};

class SecureServer {
public:
    explicit SecureServer(const Certificate& files)
        : tls_(boost::asio::ssl::context::tls_server),
          acceptor_(context_, {boost::asio::ip::address_v4::loopback(), 0}) {
        tls_.use_certificate_chain_file(files.certificate);
        tls_.use_private_key_file(files.key, boost::asio::ssl::context::pem);
        thread_ = std::thread([this] {
            boost::asio::ssl::stream<tcp::socket> stream(acceptor_.accept(), tls_);
            boost::system::error_code error;
            stream.handshake(boost::asio::ssl::stream_base::server, error);
            std::string asked;
            if (!error)
                boost::asio::read_until(stream, boost::asio::dynamic_buffer(asked), "\r\n\r\n",
                                        error);
            if (!error)
                boost::asio::write(
                    stream, boost::asio::buffer(std::string("HTTP/1.1 204 No Content\r\n\r\n")),
                    error);
        });
    }
    ~SecureServer() { thread_.join(); }
    std::string url(const std::string& host) const {
        return "https://" + host + ":" + std::to_string(acceptor_.local_endpoint().port()) + "/";
    }

private:
    boost::asio::io_context context_;
    boost::asio::ssl::context tls_;
    tcp::acceptor acceptor_;
    std::thread thread_;
};

TEST(HttpClient, speaks_to_servers_whose_certificate_and_name_are_right_and_to_no_others) {
    const Certificate files;
    {
        SecureServer server(files);
        EXPECT_THAT(call(post(server.url("localhost"))).body, HasSubstr("certificate"));
    }
    setenv("SSL_CERT_FILE", files.certificate.c_str(), 1);
    {
        SecureServer server(files);
        const auto answer = call(post(server.url("localhost")));
        EXPECT_EQ(answer.status, 204) << answer.body;
    }
    {
        SecureServer server(files);
        EXPECT_THAT(call(post(server.url("127.0.0.1"))).body, HasSubstr("certificate"));
    }
    unsetenv("SSL_CERT_FILE");
}

}  // namespace
}  // namespace millrace::gateway
