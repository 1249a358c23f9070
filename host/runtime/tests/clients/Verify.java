import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertPathValidator;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Verifies 0.chain, 1.chain, ... of a folder (PEM, leaf first), trusting 0.ca, 1.ca, ...: a line for each, empty where it is
 * believed.
 */
class Verify {
    public static void main(String[] arguments) throws Exception {
        for (int number = 0; number < Integer.parseInt(arguments[1]); number++) {
            String error = "";
            try {
                verify(read(Path.of(arguments[0], number + ".chain")), read(Path.of(arguments[0], number + ".ca")));
            } catch (Exception e) {
                error = (e + (e.getCause() == null ? "" : ", " + e.getCause())).replace('\n', ' ');
            }
            System.out.println(error);
        }
    }

    static List<X509Certificate> read(Path file) throws Exception {
        List<X509Certificate> all = new ArrayList<>();
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        for (Certificate one : factory.generateCertificates(new ByteArrayInputStream(Files.readAllBytes(file)))) {
            all.add((X509Certificate) one);
        }
        return all;
    }

    static void verify(List<X509Certificate> chain, List<X509Certificate> trusted) throws Exception {
        // The path ends below the first that is trusted.
        List<X509Certificate> path = new ArrayList<>();
        for (X509Certificate one : chain) {
            if (!path.isEmpty() && trusted.contains(one)) {
                break;
            }
            path.add(one);
        }
        Set<TrustAnchor> anchors = new LinkedHashSet<>();
        for (X509Certificate one : trusted) {
            anchors.add(new TrustAnchor(one, null));
        }
        PKIXParameters parameters = new PKIXParameters(anchors);
        parameters.setRevocationEnabled(false);
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        CertPathValidator.getInstance("PKIX").validate(factory.generateCertPath(path), parameters);
    }
}
