// Creates a new self-signed certificate for tests of TLS.

#ifndef SLUICE_TESTS_STORES_TEST_CERTIFICATE_H_
#define SLUICE_TESTS_STORES_TEST_CERTIFICATE_H_

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "grpcpp/security/server_credentials.h"
#include "gtest/gtest.h"

namespace sluice {

class TestCertificate {
 public:
  // Creates a certificate for a server that clients reach at this IP address.
  explicit TestCertificate(const std::string& ip) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* x509 = X509_new();
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_NAME* name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_ASC,
        reinterpret_cast<const unsigned char*>("datastore"), -1, -1, 0);
    X509_set_issuer_name(x509, name);
    X509_set_pubkey(x509, key);
    X509_EXTENSION* names = X509V3_EXT_conf_nid(
        nullptr, nullptr, NID_subject_alt_name, ("IP:" + ip).c_str());
    X509_add_ext(x509, names, -1);
    X509_EXTENSION_free(names);
    EXPECT_GT(X509_sign(x509, key, EVP_sha256()), 0);

    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, x509);
    pem_ = Take(bio);
    PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    key_pem_ = Take(bio);
    BIO_free(bio);
    X509_free(x509);
    EVP_PKEY_free(key);
  }

  const std::string& pem() const { return pem_; }

  std::shared_ptr<grpc::ServerCredentials> server_credentials() const {
    grpc::SslServerCredentialsOptions options;
    options.pem_key_cert_pairs.push_back({key_pem_, pem_});
    return grpc::SslServerCredentials(options);
  }

 private:
  static std::string Take(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string text(data, static_cast<std::size_t>(size));
    EXPECT_EQ(BIO_reset(bio), 1);
    return text;
  }

  std::string pem_;
  std::string key_pem_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_STORES_TEST_CERTIFICATE_H_
