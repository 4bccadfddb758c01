"""Uses the inventory as a person does: Chromium logs in, makes an item with the form, finds it with the search, and logs out.

One argument: the address of the server. The last line says `story: done`, or the first thing that was not as it must be.
"""

import sys

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as expected
from selenium.webdriver.support.wait import WebDriverWait

# Seconds. An emulated processor takes as many as a real one takes tenths.
PATIENCE = 240
PASSWORD = "stands in for capentory.admin-password: 100% $x"


def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    # It runs as root in a machine that serves for nothing else; the server's certificate is its own.
    for word in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--ignore-certificate-errors"]:
        options.add_argument(word)
    options.add_argument("--user-data-dir=/tmp/browser")
    options.page_load_strategy = "eager"
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(PATIENCE)
    return driver


def main(address):
    driver = browser()
    wait = WebDriverWait(driver, PATIENCE)

    def fill(**values):
        for name, value in values.items():
            driver.find_element(By.NAME, name).send_keys(value)

    def press(words):
        driver.find_element(By.XPATH, f"//main//button[normalize-space()='{words}']").click()

    def see(what, words):
        wait.until(expected.text_to_be_present_in_element((By.CSS_SELECTOR, what), words))

    driver.get(f"https://{address}/")
    see("h1", "Log in")
    print("story: strangers are asked to log in", flush=True)
    fill(username="admin", password="wrong")
    press("Log in")
    see("main", "correct username and password")
    print("story: a wrong password is refused", flush=True)
    driver.find_element(By.NAME, "username").clear()
    fill(username="admin", password=PASSWORD)
    press("Log in")
    see(".count", "item")
    driver.find_element(By.LINK_TEXT, "New item").click()
    see("h1", "New item")
    fill(number="BROWSER-1", name="Microscope <b>", room="3.07")
    press("Save")
    see(".count", "item")
    fill(q="microscope 3.07")
    press("Search")
    see("table", "BROWSER-1")
    # What was typed is text, not markup.
    see("table", "Microscope <b>")
    font = driver.find_element(By.TAG_NAME, "body").value_of_css_property("font-family")
    assert "serif" in font and driver.title == "Inventory", (font, driver.title)
    print("story: an item was made and found", flush=True)
    driver.find_element(By.XPATH, "//button[starts-with(normalize-space(), 'Log out')]").click()
    see("h1", "Log in")
    driver.quit()
    print("story: done", flush=True)


main(sys.argv[1])
