# Settings of gunicorn(1).
bind = "0.0.0.0:8000"
worker_class = "gthread"
workers = 2
threads = 4
worker_tmp_dir = "/tmp"
max_requests = 2000
max_requests_jitter = 200
accesslog = "-"
# nginx says who asked.
access_log_format = '%({x-forwarded-for}i)s "%(r)s" %(s)s %(b)s %(M)sms'
