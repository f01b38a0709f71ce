#pragma once

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <string>

namespace berth::test {

/// A certificate authority of one test, and servers that it vouches for.
class TestAuthority {
public:
    TestAuthority() : key_(EVP_EC_gen("P-256")), certificate_(make("Test authority", "", key_, nullptr, nullptr)) {}
    ~TestAuthority() {
        X509_free(certificate_);
        EVP_PKEY_free(key_);
    }
    TestAuthority(const TestAuthority&) = delete;
    TestAuthority& operator=(const TestAuthority&) = delete;

    void write(const std::string& file) const {
        std::FILE* out = std::fopen(file.c_str(), "w");
        PEM_write_X509(out, certificate_);
        std::fclose(out);
    }
    /// Settings of a server whose certificate is for `names`, such as `DNS:example.com`. The caller frees it.
    SSL_CTX* server(const std::string& names) const {
        auto* key = EVP_EC_gen("P-256");
        auto* certificate = make("Test server", names, key, certificate_, key_);
        auto* context = SSL_CTX_new(TLS_server_method());
        SSL_CTX_use_certificate(context, certificate);
        SSL_CTX_use_PrivateKey(context, key);
        X509_free(certificate);
        EVP_PKEY_free(key);
        return context;
    }

private:
    static void add(X509* certificate, X509* issuer, int what, const char* value) {
        X509V3_CTX context;
        X509V3_set_ctx_nodb(&context);
        X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
        auto* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value);
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
    }
    static X509* make(const char* name, const std::string& names, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key) {
        auto* certificate = X509_new();
        X509_set_version(certificate, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), issuer == nullptr ? 1 : 2);
        X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
        X509_gmtime_adj(X509_getm_notAfter(certificate), 24 * 3600);
        X509_set_pubkey(certificate, key);
        auto* subject = X509_get_subject_name(certificate);
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
        X509_set_issuer_name(certificate, issuer == nullptr ? subject : X509_get_subject_name(issuer));
        if (issuer == nullptr) {
            add(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
            add(certificate, certificate, NID_key_usage, "critical,keyCertSign");
        } else {
            add(certificate, issuer, NID_subject_alt_name, names.c_str());
        }
        X509_sign(certificate, issuer == nullptr ? key : issuer_key, EVP_sha256());
        return certificate;
    }

    EVP_PKEY* key_;
    X509* certificate_;
};

}  // namespace berth::test
